import { Store } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { cpuMicrosPerRow, type Measurement, measure, type Run, rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { type AppendLoad, openAppends, openPlainInserts, writeArrays, writeValues } from './append-runs.ts'
import { addHosts, fillLog, LOG_HOSTS } from './fill-log.ts'
import type { AuditOptions } from './options.ts'

/** Of the entries that the log has before: an index that is empty would be faster than any that is in use. */
const SHARE_BEFORE = 10
/** Of the entries of a measurement: smaller lists take longer. */
const LISTS = [
  { listSize: 1, share: 20 },
  { listSize: 100, share: 2 },
  { listSize: 1000, share: 1 },
] as const
const WRITERS = [1, 8] as const
const PEER_LIST = 1000

interface Variant {
  readonly name: string
  readonly hosts: number
  readonly load: AppendLoad
  /** What others are compared with. */
  readonly isPeer?: boolean
  open(hostIds: readonly string[]): Promise<Run>
}

export interface AppendFigures {
  readonly variant: string
  readonly hosts: number
  readonly writers: number
  readonly listSize: number
  readonly entries: number
  readonly entriesPerSecond: { readonly median: number; readonly lowest: number; readonly highest: number }
  /** What a call takes, on average, while others are under way. */
  readonly millisecondsPerCall: number
  readonly clientCpuMicrosPerEntry: number
  /** Of the plain INSERT in the same round, for lists of its size; the median of the rounds. */
  readonly shareOfInsert: number
}

/** Appends to hosts that have no entries yet, in a log that has some, in interleaved rounds. */
export async function measureAppend(
  database: BenchDatabase,
  { entries, appendEntries, rounds }: AuditOptions,
  output: Output,
): Promise<readonly AppendFigures[]> {
  const { client } = database
  const before = Math.floor(entries / SHARE_BEFORE)
  await fillLog(client, await addHosts(client, LOG_HOSTS), before)
  const measured = listVariants(database, appendEntries).map(variant => ({
    variant,
    measurements: [] as Measurement[],
  }))
  for (let round = 1; round <= rounds; round++) {
    for (const { variant, measurements } of measured) {
      const measurement = await measureVariant(database, variant)
      measurements.push(measurement)
      const { hosts, load } = variant
      output.progress(
        `round ${round} of ${rounds}: ${variant.name}, ${hosts} hosts, ${load.writers} writers × ${load.listSize}: ${grouped(rowsPerSecond(measurement))} entries/s`,
      )
    }
  }
  await requireIntact(database)
  const ofInsert = measured.find(({ variant }) => variant.isPeer)?.measurements.map(rowsPerSecond) ?? []
  return measured.map(({ variant, measurements }) => summarise(variant, measurements, ofInsert))
}

function listVariants(database: BenchDatabase, appendEntries: number): readonly Variant[] {
  const ours = [1, LOG_HOSTS].flatMap(hosts =>
    WRITERS.flatMap(writers =>
      LISTS.map(({ listSize, share }): Variant => {
        const load = { listSize, writers, calls: Math.ceil(appendEntries / share / listSize) }
        return {
          name: 'appendAuditEntries',
          hosts,
          load,
          open: hostIds => openAppends(database, hostIds, load),
        }
      }),
    ),
  )
  const load = { listSize: PEER_LIST, writers: 1, calls: Math.ceil(appendEntries / PEER_LIST) }
  const peers = [
    { name: 'peer: INSERT … VALUES', isPeer: true, write: writeValues, isCompared: true },
    { name: 'INSERT … VALUES, no trigger', write: writeValues, isCompared: false },
    { name: 'INSERT … FROM unnest', write: writeArrays, isCompared: true },
    { name: 'INSERT … FROM unnest, no trigger', write: writeArrays, isCompared: false },
  ].map(
    ({ write, isCompared, ...named }): Variant => ({
      ...named,
      hosts: 1,
      load,
      open: hostIds => openPlainInserts(database, hostIds, load, { write, isCompared }),
    }),
  )
  return [...ours, ...peers]
}

async function measureVariant(database: BenchDatabase, variant: Variant): Promise<Measurement> {
  const { listSize, calls } = variant.load
  const hostIds = await addHosts(database.client, variant.hosts)
  await database.checkpoint()
  const run = await variant.open(hostIds)
  let measurement: Measurement
  try {
    measurement = await measure(calls * listSize, run.work)
  } finally {
    await run.close()
  }
  await requireEntries(database, hostIds, calls * listSize, variant.name)
  return measurement
}

const COUNT_ENTRIES = `
  SELECT count(*)
  FROM audit_entries
  WHERE host_id = ANY ($1::uuid[])`

async function requireEntries(
  { client }: BenchDatabase,
  hostIds: readonly string[],
  sent: number,
  variant: string,
): Promise<void> {
  const { rows } = await client.query<{ count: string }>(COUNT_ENTRIES, [hostIds])
  const stored = Number(rows[0]?.count)
  if (stored !== sent) throw new Error(`${variant}: ${sent} entries were sent, but the log holds ${stored}`)
}

/** A fast path that forks chains, or writes what does not verify, is none. */
async function requireIntact({ connectionString }: BenchDatabase): Promise<void> {
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const { verdict, findings } = await store.verifyAuditChain()
  if (verdict !== 'intact')
    throw new Error(`the log that was appended to is ${verdict}: ${JSON.stringify(findings[0])}`)
}

function summarise(
  { name, hosts, load }: Variant,
  measurements: readonly Measurement[],
  ofInsert: readonly number[],
): AppendFigures {
  const { writers, listSize, calls } = load
  const rates = measurements.map(rowsPerSecond)
  const shares = rates.map((rate, round) => rate / (ofInsert[round] ?? Number.NaN))
  return {
    variant: name,
    hosts,
    writers,
    listSize,
    entries: calls * listSize,
    entriesPerSecond: { median: median(rates), lowest: Math.min(...rates), highest: Math.max(...rates) },
    millisecondsPerCall: median(measurements.map(({ seconds }) => (seconds * 1000 * writers) / calls)),
    clientCpuMicrosPerEntry: median(measurements.map(cpuMicrosPerRow)),
    shareOfInsert: listSize === PEER_LIST ? median(shares) : Number.NaN,
  }
}

export function formatAppend(figures: readonly AppendFigures[], rounds: number): string {
  const table = formatTable(figures, [
    { title: 'append', value: row => row.variant, align: 'left' },
    { title: 'hosts', value: row => grouped(row.hosts) },
    { title: 'writers', value: row => grouped(row.writers) },
    { title: 'entries a call', value: row => grouped(row.listSize) },
    { title: 'entries/s', value: row => grouped(row.entriesPerSecond.median) },
    {
      title: 'lowest–highest',
      value: ({ entriesPerSecond: { lowest, highest } }) => `${grouped(lowest)}–${grouped(highest)}`,
    },
    { title: 'ms a call', value: row => fixed(row.millisecondsPerCall, 2) },
    { title: 'client CPU µs/entry', value: row => fixed(row.clientCpuMicrosPerEntry, 1) },
    { title: '% of INSERT', value: row => fixed(row.shareOfInsert * 100, 0, ' %') },
  ])
  return [
    `Append, writers are concurrent callers of one store, each call a commit of its own or shared; median of ${rounds} interleaved rounds.`,
    'The peers write one list a commit, with hashes that were computed before; without the trigger nothing compares an entry with the one before.',
    table,
  ].join('\n')
}
