import type pg from 'pg'
import { type RawJson, Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { connect } from '../support/connect.ts'
import type { Run } from '../support/measure.ts'
import { BenchChain, type BenchEntry, ENTRY_COLUMNS, entryValues, payloadAt } from './bench-chain.ts'
import { addHosts, compareAgain, stopComparing } from './fill-log.ts'

const CREATED_AT_APART_MS = 3

/** `calls` lists of `listSize` entries, to hosts in turn. */
export interface AppendLoad {
  readonly listSize: number
  readonly calls: number
  readonly writers: number
}

/** Concurrent callers of one store. What they append is text already, as it is for the peers. */
export async function openAppends(
  { connectionString, client }: BenchDatabase,
  hostIds: readonly string[],
  { listSize, calls, writers }: AppendLoad,
): Promise<Run> {
  const lists: RawJson[][] = []
  for (let call = 0; call < calls; call++) {
    lists.push(Array.from({ length: listSize }, (_, index) => payloadAt(call * listSize + index)))
  }
  const store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const [warmUpHost = ''] = await addHosts(client, 1)
  await store.appendAuditEntries(warmUpHost, lists[0] ?? [])
  const pending = lists.entries()
  const write = async () => {
    for (const [call, list] of pending)
      await store.appendAuditEntries(hostIds[call % hostIds.length] ?? '', list)
  }
  return {
    work: async () => {
      await Promise.all(Array.from({ length: writers }, write))
    },
    close: async () => {
      await store.close()
    },
  }
}

/** Writes a list of entries as one statement, which is a transaction of its own. */
type WriteList = (client: pg.Client, entries: readonly BenchEntry[]) => Promise<unknown>

/** INSERT … VALUES with a parameter for each value. */
export const writeValues: WriteList = (client, entries) => {
  const values = entries.flatMap(entryValues)
  const width = values.length / entries.length
  const rows = entries.map((_, row) => {
    const parameters = Array.from({ length: width }, (_, column) => `$${row * width + column + 1}`)
    return `(${parameters.join(', ')})`
  })
  return client.query(`INSERT INTO audit_entries (${ENTRY_COLUMNS}) VALUES ${rows.join(', ')}`, values)
}

const INSERT_ARRAYS = `
  INSERT INTO audit_entries (${ENTRY_COLUMNS})
  SELECT *
  FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::text[], $9::smallint[]
  )`

/** INSERT … SELECT FROM unnest, with a parameter for each column. */
export const writeArrays: WriteList = (client, entries) => {
  const rows = entries.map(entryValues)
  const columns = rows[0]?.map((_, column) => rows.map(row => row[column])) ?? []
  return client.query(INSERT_ARRAYS, columns)
}

export interface PlainInsertOptions {
  readonly write: WriteList
  /** Whether the triggers compare each entry with the one before it. */
  readonly isCompared: boolean
}

/** The peer: one writer that has the entries with their hashes, and nobody to share the host with. */
export async function openPlainInserts(
  { connectionString, client: owner }: BenchDatabase,
  hostIds: readonly string[],
  { listSize, calls }: AppendLoad,
  { write, isCompared }: PlainInsertOptions,
): Promise<Run> {
  const chain = new BenchChain(hostIds[0] ?? '')
  const startedAt = Date.now() - calls * listSize * CREATED_AT_APART_MS
  const makeList = () =>
    Array.from({ length: listSize }, (_, index) => chain.next(startedAt + index * CREATED_AT_APART_MS))
  const lists = Array.from({ length: calls }, makeList)
  const client = await connect(connectionString)
  const [warmUpHost = ''] = await addHosts(client, 1)
  const warmUpChain = new BenchChain(warmUpHost)
  await write(
    client,
    Array.from({ length: listSize }, () => warmUpChain.next(startedAt)),
  )
  if (!isCompared) await stopComparing(owner)
  return {
    work: async () => {
      for (const list of lists) await write(client, list)
    },
    close: async () => {
      if (!isCompared) await compareAgain(owner)
      await client.end()
    },
  }
}
