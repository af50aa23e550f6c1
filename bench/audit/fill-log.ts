import type pg from 'pg'
import { CopyIn } from '../../src/pg/copy-in.ts'
import { BenchChain, type BenchEntry, ENTRY_COLUMNS, entryValues } from './bench-chain.ts'
import type { Layout } from './options.ts'

export const LOG_HOSTS = 200
const COPY_ENTRIES = `COPY audit_entries (${ENTRY_COLUMNS}) FROM STDIN`
const ROWS_PER_COPY = 10_000
/** The entries are of the hours before now. */
const MILLISECONDS_APART = 3

const INSERT_HOSTS = `
  INSERT INTO hosts (hostname)
  SELECT gen_random_uuid()
  FROM generate_series(1, $1::integer)
  RETURNING host_id AS "hostId"`

/** What compares each entry with the one before it. */
const COMPARING_TRIGGER = 'audit_entries_continue_chain'

export async function addHosts(client: pg.Client, count: number): Promise<readonly string[]> {
  const { rows } = await client.query<{ hostId: string }>(INSERT_HOSTS, [count])
  return rows.map(row => row.hostId)
}

export async function stopComparing(client: pg.Client): Promise<void> {
  await client.query(`ALTER TABLE audit_entries DISABLE TRIGGER ${COMPARING_TRIGGER}`)
}

export async function compareAgain(client: pg.Client): Promise<void> {
  await client.query(`ALTER TABLE audit_entries ENABLE TRIGGER ${COMPARING_TRIGGER}`)
}

/** Fills the chains of hosts that have no entries yet. Nothing is compared meanwhile: who fills, verifies afterwards. */
export async function fillLog(
  client: pg.Client,
  hostIds: readonly string[],
  entries: number,
  layout: Layout = 'as-written',
): Promise<void> {
  await stopComparing(client)
  try {
    let rows: string[] = []
    let copied = Promise.resolve()
    const copy = async () => {
      const data = Buffer.from(rows.join(''))
      rows = []
      // The server copies the ones before while these are made.
      await copied
      copied = client.query(new CopyIn(COPY_ENTRIES, data)).done
      // It is awaited before the next ones. Nobody listens meanwhile.
      copied.catch(() => undefined)
    }
    for (const entry of makeEntries(hostIds, entries, layout)) {
      rows.push(copyRow(entry))
      if (rows.length === ROWS_PER_COPY) await copy()
    }
    await copy()
    await copied
  } finally {
    await compareAgain(client)
  }
  // Who reads them first must not have to write.
  await client.query('VACUUM (ANALYZE) audit_entries')
}

function* makeEntries(hostIds: readonly string[], entries: number, layout: Layout): Generator<BenchEntry> {
  // In the order of the index, so that the layout by host is the fastest to read.
  const chains = hostIds.toSorted().map(hostId => new BenchChain(hostId))
  const startedAt = Date.now() - entries * MILLISECONDS_APART
  const entriesPerHost = Math.ceil(entries / chains.length)
  for (let index = 0; index < entries; index++) {
    const place = layout === 'as-written' ? index % chains.length : Math.floor(index / entriesPerHost)
    const chain = chains[place]
    if (chain) yield chain.next(startedAt + index * MILLISECONDS_APART)
  }
}

function copyRow(entry: BenchEntry): string {
  const columns = entryValues(entry).map(value => value?.replaceAll('\\', '\\\\') ?? '\\N')
  return `${columns.join('\t')}\n`
}

export interface EntrySize {
  /** Means, in bytes. */
  readonly payload: number
  readonly stored: number
}

const MEASURE_ENTRIES = `
  SELECT
    avg(octet_length(sample.payload::text))::float AS payload,
    avg(pg_column_size(sample.*))::float AS stored
  FROM (
    SELECT *
    FROM audit_entries
    LIMIT 1000
  ) AS sample`

export async function measureEntries(client: pg.Client): Promise<EntrySize> {
  const { rows } = await client.query<EntrySize>(MEASURE_ENTRIES)
  return rows[0] ?? { payload: Number.NaN, stored: Number.NaN }
}
