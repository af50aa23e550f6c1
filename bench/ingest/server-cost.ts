import { copyRows } from '../peers/copy-in.ts'
import { encodeCopyRows } from '../peers/copy-rows.ts'
import { makeAlerts } from '../support/bench-alert.ts'
import { BenchDatabase } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import { measure, rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { formatTable, grouped } from '../support/table.ts'
import { CURRENT_PARTITION, type IndexVariant, listIndexVariants, readIndexes } from './index-variants.ts'

const BATCH_SIZE = 5000

/** What one fill of the table costs the server. */
interface Fill {
  readonly rowsPerSecond: number
  readonly walBytesPerRow: number
}

interface IndexSize {
  readonly columns: string
  readonly isUnique: boolean
  readonly bytesPerRow: number
}

interface Sizes {
  readonly tableBytesPerRow: number
  readonly indexes: readonly IndexSize[]
}

interface Round {
  readonly empty: Fill
  readonly filled: Fill
  readonly sizes: Sizes
}

export interface ServerCost {
  readonly variant: string
  readonly rowsPerSecond: number
  /** Into an empty table: every page is new. */
  readonly walBytesPerRowEmpty: number
  /** As many rows again, after a checkpoint: a page that is changed for the first time since is logged as a whole. */
  readonly walBytesPerRowFilled: number
  readonly sizes: Sizes
}

/** Measures variants of the indexes and ids, each in a database of its own, in interleaved rounds. */
export async function measureServerCost(
  server: BenchServer,
  { rows, rounds }: { readonly rows: number; readonly rounds: number },
  output: Output,
): Promise<readonly ServerCost[]> {
  await using databases = new AsyncDisposableStack()
  const plain = databases.use(await BenchDatabase.create(server))
  const measured: { variant: IndexVariant; database: BenchDatabase; rounds: Round[] }[] = []
  for (const variant of listIndexVariants(await readIndexes(plain.client))) {
    const database = databases.use(await BenchDatabase.create(server))
    await variant.prepare(database.client)
    measured.push({ variant, database, rounds: [] })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { variant, database, rounds: done } of measured) {
      done.push(await measureRound(variant, database, rows))
      output.progress(`round ${round} of ${rounds}: ${variant.name}`)
    }
  }
  return measured.map(({ variant, rounds: done }) => summarise(variant, done))
}

async function measureRound(variant: IndexVariant, database: BenchDatabase, rows: number): Promise<Round> {
  await database.clean()
  const empty = await fill(variant, database, rows)
  await database.checkpoint()
  const filled = await fill(variant, database, rows)
  await database.requireAlerts(2 * rows, variant.name)
  const sizes = await readSizes(database, 2 * rows)
  // The disk need not hold the tables of all variants at once.
  await database.clean()
  return { empty, filled, sizes }
}

/** COPY in batches over one connection. The rows are encoded beforehand: only the server is of interest. */
async function fill(variant: IndexVariant, database: BenchDatabase, rows: number): Promise<Fill> {
  const { client, hostIds } = database
  const alerts = makeAlerts(hostIds, rows, variant.ids)
  const batches = Array.from({ length: Math.ceil(rows / BATCH_SIZE) }, (_, index) =>
    encodeCopyRows(alerts.slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)),
  )
  const before = await readWalPosition(database)
  const measurement = await measure(rows, async () => {
    for (const batch of batches) await copyRows(client, batch)
  })
  const { rows: found } = await client.query<{ bytes: string }>(
    'SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1) AS bytes',
    [before],
  )
  return { rowsPerSecond: rowsPerSecond(measurement), walBytesPerRow: Number(found[0]?.bytes) / rows }
}

async function readWalPosition({ client }: BenchDatabase): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  return rows[0]?.lsn ?? ''
}

async function readSizes({ client }: BenchDatabase, rowCount: number): Promise<Sizes> {
  const table = await client.query<{ bytes: string }>(`SELECT pg_table_size(${CURRENT_PARTITION}) AS bytes`)
  const indexes: IndexSize[] = []
  for (const { name, columns, isUnique } of await readIndexes(client)) {
    const size = await client.query<{ bytes: string }>('SELECT pg_relation_size($1::regclass) AS bytes', [
      name,
    ])
    indexes.push({ columns, isUnique, bytesPerRow: Number(size.rows[0]?.bytes) / rowCount })
  }
  return { tableBytesPerRow: Number(table.rows[0]?.bytes) / rowCount, indexes }
}

function summarise({ name }: IndexVariant, rounds: readonly Round[]): ServerCost {
  return {
    variant: name,
    rowsPerSecond: median(rounds.map(({ filled }) => filled.rowsPerSecond)),
    walBytesPerRowEmpty: median(rounds.map(({ empty }) => empty.walBytesPerRow)),
    walBytesPerRowFilled: median(rounds.map(({ filled }) => filled.walBytesPerRow)),
    sizes: rounds.at(-1)?.sizes ?? { tableBytesPerRow: Number.NaN, indexes: [] },
  }
}

export function formatServerCost(costs: readonly ServerCost[], rows: number): string {
  const bytes = (sizes: readonly IndexSize[]) =>
    grouped(sizes.reduce((sum, { bytesPerRow }) => sum + bytesPerRow, 0))
  const table = formatTable(costs, [
    { title: 'variant', value: row => row.variant, align: 'left' },
    { title: 'rows/s', value: row => grouped(row.rowsPerSecond) },
    { title: 'WAL B/row, empty table', value: row => grouped(row.walBytesPerRowEmpty) },
    { title: 'WAL B/row, filled', value: row => grouped(row.walBytesPerRowFilled) },
    { title: 'table B/row', value: row => grouped(row.sizes.tableBytesPerRow) },
    { title: 'indexes B/row', value: row => bytes(row.sizes.indexes) },
    { title: 'unique B/row', value: row => bytes(row.sizes.indexes.filter(index => index.isUnique)) },
  ])
  const indexTable = formatTable(costs[0]?.sizes.indexes ?? [], [
    { title: 'index', value: row => `${row.isUnique ? 'unique ' : ''}${row.columns}`, align: 'left' },
    { title: 'B/row', value: row => row.bytesPerRow.toFixed(1) },
  ])
  return [
    `Server cost: COPY in batches of ${grouped(BATCH_SIZE)}, one connection, ${grouped(rows)} rows into an empty table,`,
    'a checkpoint, and as many again. rows/s are those of the second half.',
    table,
    '',
    indexTable,
  ].join('\n')
}
