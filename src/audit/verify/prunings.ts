import type { QueryRunner } from '../../pg/database.ts'
import { timestampFromRow } from '../../pg/row-values.ts'
import type { Head } from '../checkpoint/head.ts'

/** A row of `audit_prunings`: entries of a chain that were exported and deleted. */
export interface PruningRow {
  readonly hostId: string
  /** The last entry that was deleted. */
  readonly throughSequence: bigint
  readonly throughEventHash: string
  readonly throughLinkHash: string
  /** RFC 3339, UTC, microseconds. */
  readonly throughCreatedAt: string
  /** The signed manifest. */
  readonly manifest: string
}

/** Whether the signed manifest of a pruning tells what its row does. */
export type PruningCheck =
  | {
      readonly outcome: 'verified'
      /** The first entry that was deleted. */
      readonly first: bigint
      /** The entry that records the pruning: the chain was that long once, and this was its end. */
      readonly record: Head
    }
  /** The manifest is not what was signed, or is of another pruning, or the row tells something else. */
  | { readonly outcome: 'altered'; readonly expected: string; readonly found: string }
  /** It is signed by none of the trusted keys. */
  | { readonly outcome: 'unverified'; readonly expected: string; readonly found: string }

export type CheckPruning = (pruning: PruningRow) => PruningCheck

const FETCH_ROWS = 64
const CURSOR = 'audit_prunings_of_hosts'

/** NULL where none can be is for whoever checks the manifest to find. */
const DECLARE_PRUNINGS = `
  DECLARE ${CURSOR} NO SCROLL CURSOR FOR
  SELECT
    host_id,
    coalesce(through_sequence, 0) AS through_sequence,
    coalesce(through_event_hash::text, '') AS through_event_hash,
    coalesce(through_link_hash::text, '') AS through_link_hash,
    coalesce(to_json(through_created_at AT TIME ZONE 'UTC')::text, '') AS through_created_at,
    coalesce(manifest, '') AS manifest
  FROM audit_prunings
  WHERE host_id = coalesce($1::uuid, host_id)
  ORDER BY host_id, audit_prunings.through_sequence`

interface Row {
  readonly host_id: string
  readonly through_sequence: string
  readonly through_event_hash: string
  readonly through_link_hash: string
  readonly through_created_at: string
  readonly manifest: string
}

/** Prunings in the order of hosts and numbers, some of which are read already. */
export interface PruningSource {
  /** The first host that has prunings which were not taken. */
  readonly nextHost: string | undefined
  /** The last host of which some were read and not taken. There may be more of it. */
  readonly lastHost: string | undefined
  /** Whether all are read. */
  readonly isDone: boolean
  readMore(): Promise<void>
  /** Those of this host, which must be the next one that has any. */
  take(hostId: string): readonly PruningRow[]
}

/** Of a log that was never pruned. */
export const NO_PRUNINGS: PruningSource = {
  nextHost: undefined,
  lastHost: undefined,
  isDone: true,
  readMore: async () => undefined,
  take: () => [],
}

/** The prunings of all hosts, or of one, read along with the entries. */
export class Prunings implements PruningSource {
  readonly #transaction: QueryRunner
  readonly #read: PruningRow[] = []
  #isDone = false

  private constructor(transaction: QueryRunner) {
    this.#transaction = transaction
  }

  static async open(transaction: QueryRunner, hostId: string | null): Promise<Prunings> {
    await transaction.query(DECLARE_PRUNINGS, [hostId])
    return new Prunings(transaction)
  }

  /** Reads on until all prunings of hosts up to this one are there. */
  async readUpTo(hostId: string): Promise<void> {
    while (!this.#isDone) {
      const last = this.lastHost
      if (last !== undefined && last > hostId) return
      await this.readMore()
    }
  }

  async readMore(): Promise<void> {
    const { rows } = await this.#transaction.query<Row>(`FETCH ${FETCH_ROWS} FROM ${CURSOR}`)
    this.#read.push(...rows.map(pruningFromRow))
    this.#isDone = rows.length < FETCH_ROWS
  }

  get isDone(): boolean {
    return this.#isDone
  }

  get lastHost(): string | undefined {
    return this.#read.at(-1)?.hostId
  }

  get nextHost(): string | undefined {
    return this.#read[0]?.hostId
  }

  take(hostId: string): readonly PruningRow[] {
    const end = this.#read.findIndex(pruning => pruning.hostId !== hostId)
    return this.#read.splice(0, end === -1 ? this.#read.length : end)
  }
}

function pruningFromRow(row: Row): PruningRow {
  return {
    hostId: row.host_id,
    throughSequence: BigInt(row.through_sequence),
    throughEventHash: row.through_event_hash,
    throughLinkHash: row.through_link_hash,
    throughCreatedAt: timestampFromRow(row.through_created_at),
    manifest: row.manifest,
  }
}
