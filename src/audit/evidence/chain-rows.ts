import type { QueryRunner } from '../../pg/database.ts'
import { parseAuditLine } from '../verify/audit-row.ts'
import { rangeOf, readAuditLines } from '../verify/read-audit-lines.ts'

/** An audit entry as it stands in the table, each column in the text form that is hashed. */
export interface ChainRow {
  readonly sequenceNum: string
  readonly entryId: string
  readonly createdAt: string
  readonly prevHash: string
  readonly eventHash: string
  readonly rowHash: string | null
  readonly hashVersion: string
  readonly payload: string
}

/** The entries of a host from one number to another, both included, in the order of the chain. In a transaction with one snapshot. */
export async function* readChainRows(
  transaction: QueryRunner,
  hostId: string,
  from: string,
  to: string,
  signal?: AbortSignal,
): AsyncGenerator<ChainRow> {
  for await (const lines of readAuditLines(transaction, rangeOf(hostId, from, to), { signal })) {
    for (const line of lines) {
      const { sequenceNum, hasRowHash, rowHash, version, ...row } = parseAuditLine(line)
      yield {
        sequenceNum: String(sequenceNum),
        entryId: row.entryId,
        createdAt: row.createdAt,
        prevHash: row.prevHash,
        eventHash: row.eventHash,
        rowHash: hasRowHash ? rowHash : null,
        hashVersion: version,
        payload: row.payload,
      }
    }
  }
}
