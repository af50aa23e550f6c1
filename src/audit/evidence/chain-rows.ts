import type { QueryRunner } from '../../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../../pg/row-values.ts'

const FETCH_ROWS = 1000

/** An audit entry as it stands in the table, each column in the text form that is hashed. */
export interface ChainRow {
  readonly sequenceNum: string
  readonly entryId: string
  readonly createdAt: string
  readonly prevHash: string
  readonly eventHash: string
  readonly rowHash: string | null
  readonly hashVersion: number
  readonly payload: string
}

const DECLARE_ROWS = `
  DECLARE chain_rows NO SCROLL CURSOR FOR
  SELECT
    sequence_num AS "sequenceNum",
    entry_id AS "entryId",
    ${selectTimestamp('created_at')},
    prev_hash AS "prevHash",
    event_hash AS "eventHash",
    row_hash AS "rowHash",
    hash_version AS "hashVersion",
    payload
  FROM audit_entries
  WHERE host_id = $1
    AND sequence_num BETWEEN $2 AND $3
  ORDER BY sequence_num`

type Row = Omit<ChainRow, 'createdAt'> & { readonly created_at: string }

/** The entries of a host from one number to another, both included, in the order of the chain. In a transaction. */
export async function* readChainRows(
  transaction: QueryRunner,
  hostId: string,
  from: string,
  to: string,
  signal?: AbortSignal,
): AsyncGenerator<ChainRow> {
  await transaction.query(DECLARE_ROWS, [hostId, from, to])
  for (;;) {
    signal?.throwIfAborted()
    const { rows } = await transaction.query<Row>(`FETCH ${FETCH_ROWS} FROM chain_rows`)
    for (const { created_at, ...row } of rows) yield { ...row, createdAt: timestampFromRow(created_at) }
    if (rows.length < FETCH_ROWS) break
  }
  await transaction.runScript('CLOSE chain_rows')
}
