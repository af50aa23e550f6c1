import { TripwireStorageError } from '../../errors.ts'
import { arrayOf } from '../../pg/array-literal.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { timestampFromRow } from '../../pg/row-values.ts'
import { selectTimestampText } from '../audit-entry-row.ts'

/** Payloads go along, so that the server brings them into its own form: what is hashed is what it stores. */
const LOCK_CHAINS = `
  SELECT
    chain.host_id::text AS host_id,
    chain.sequence_num::text AS sequence_num,
    chain.event_hash::text AS event_hash,
    chain.link_hash::text AS link_hash,
    ${selectTimestampText('greatest(chain.created_at, chain.server_now)', 'next_created_at')},
    pg_current_xact_id()::text AS transaction_id,
    NULL AS payload,
    '0' AS place
  FROM lock_audit_chains($1::uuid[]) AS chain
  UNION ALL
  SELECT NULL, NULL, NULL, NULL, NULL, NULL, given.payload::text, given.place::text
  FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS given (payload, place)`

interface HeadRow {
  readonly host_id: string
  readonly sequence_num: string
  readonly event_hash: string
  readonly link_hash: string
  readonly next_created_at: string
  readonly transaction_id: string
  readonly payload: null
}

interface PayloadRow {
  readonly payload: string
  readonly place: string
}

/** The newest entry of a chain, or where it begins. */
export interface ChainHead {
  readonly hostId: string
  /** 0 where there is no entry yet. */
  readonly sequenceNum: bigint
  readonly eventHash: string
  readonly linkHash: string
  /** The time that the next entry gets: the server's, but not before that of the head. */
  readonly nextCreatedAt: string
}

export interface LockedChains {
  readonly heads: ReadonlyMap<string, ChainHead>
  /** In the order given, as PostgreSQL prints them. */
  readonly payloads: readonly string[]
  /** To be compared when entries are written: the locks are held for this long and no longer. */
  readonly transactionId: string
}

/** Locks the chains of some hosts until the transaction ends, and returns their heads. */
export async function lockChains(
  transaction: QueryRunner,
  hostIds: readonly string[],
  payloads: readonly string[],
): Promise<LockedChains> {
  const { rows } = await transaction.query<HeadRow | PayloadRow>(LOCK_CHAINS, [
    arrayOf(hostIds),
    listOf(payloads),
  ])
  const heads = new Map<string, ChainHead>()
  const normalised: string[] = []
  let transactionId = ''
  for (const row of rows) {
    if (row.payload !== null) {
      normalised[Number(row.place) - 1] = row.payload
      continue
    }
    transactionId = row.transaction_id
    heads.set(row.host_id, headFromRow(row))
  }
  if (normalised.length !== payloads.length) {
    throw new TripwireStorageError('MALFORMED_ROW', `${payloads.length} payloads became ${normalised.length}`)
  }
  return { heads, payloads: normalised, transactionId }
}

/** Texts of JSON as one JSON list, which needs no escapes. */
export function listOf(payloads: readonly string[]): string {
  return `[${payloads.join(',')}]`
}

function headFromRow(row: HeadRow): ChainHead {
  return {
    hostId: row.host_id,
    sequenceNum: BigInt(row.sequence_num),
    eventHash: row.event_hash,
    linkHash: row.link_hash,
    nextCreatedAt: timestampFromRow(row.next_created_at),
  }
}

/** The head of a chain that was locked. */
export function headOf(chains: LockedChains, hostId: string): ChainHead {
  const head = chains.heads.get(hostId)
  if (!head) throw new TripwireStorageError('MALFORMED_ROW', `the lock of ${hostId}'s chain returned no head`)
  return head
}
