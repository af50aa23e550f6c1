import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Store } from '../../src/index.ts'
import { copyTableToGzip } from '../peers/copy-out.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import { type Measurement, measure, rowsPerSecond } from '../support/measure.ts'
import type { Output } from '../support/output.ts'
import { median } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { withArchiveFolder } from './beside.ts'
import { KEEP_MONTHS, type Month, type MonthRows } from './month-rows.ts'

const MEGABYTE = 1e6

const STEPS = {
  copyTo: 'ceiling: server-side COPY TO a file',
  copyAndGzip: 'peer: COPY TO STDOUT | gzip, one process',
  archive: 'applyRetention: detach and archive',
  verify: 'applyRetention: verify and drop',
  retention: 'applyRetention in all',
  copyFrom: 'ceiling: server-side COPY FROM a file',
  restore: 'restorePartition',
} as const
type Step = keyof typeof STEPS
const CEILINGS: Readonly<Partial<Record<Step, Step>>> = {
  copyAndGzip: 'copyTo',
  archive: 'copyTo',
  verify: 'copyTo',
  retention: 'copyTo',
  restore: 'copyFrom',
}

type Round = ReadonlyMap<Step, Measurement>

export interface SpeedFigures {
  readonly step: string
  readonly rowsPerSecond: number
  /** Of the archive's content, before it is compressed. */
  readonly megabytesPerSecond: number
  readonly clientCpuMicrosPerRow: number
  /** Medians of the shares within a round. */
  readonly shareOfCeiling: number
}

export interface Speed {
  readonly steps: readonly SpeedFigures[]
  /** Of the archive, bytes a row. */
  readonly contentBytesPerRow: number
  readonly fileBytesPerRow: number
  readonly notes: readonly string[]
}

/** How fast a month is taken out and brought back when nothing else happens. */
export async function measureSpeed(
  server: BenchServer,
  database: BenchDatabase,
  monthRows: MonthRows,
  rounds: number,
  output: Output,
): Promise<Speed> {
  const copyFile = await makeServerFile(server)
  const done: Round[] = []
  let archive: ArchiveSize = { contentBytes: Number.NaN, fileBytes: Number.NaN }
  let note: string | undefined
  for (let round = 1; round <= rounds; round++) {
    const [month] = await monthRows.prepare(1)
    if (!month) throw new Error('no month was made')
    note = await whyNoServerFile(database, copyFile)
    const measured = await withArchiveFolder(server.folder, folder =>
      measureRound(database, monthRows.rows, { month, folder, copyFile: note ? undefined : copyFile }),
    )
    archive = measured.archive
    done.push(measured.round)
    const rate = measured.round.get('retention')
    output.progress(`round ${round} of ${rounds}: ${grouped(rate ? rowsPerSecond(rate) : Number.NaN)} rows/s`)
  }
  const { rows } = monthRows
  return {
    steps: (Object.keys(STEPS) as Step[]).map(step => summarise(step, done, archive.contentBytes / rows)),
    contentBytesPerRow: archive.contentBytes / rows,
    fileBytesPerRow: archive.fileBytes / rows,
    notes: note === undefined ? [] : [`no ceiling: the server cannot write and read files here: ${note}`],
  }
}

interface ArchiveSize {
  readonly contentBytes: number
  readonly fileBytes: number
}

async function measureRound(
  { client, connectionString }: BenchDatabase,
  rows: number,
  place: { readonly month: Month; readonly folder: string; readonly copyFile: string | undefined },
): Promise<{ readonly round: Round; readonly archive: ArchiveSize }> {
  const { month, folder, copyFile } = place
  const round = new Map<Step, Measurement>()
  const { partition } = month
  if (copyFile !== undefined) {
    round.set('copyTo', await measure(rows, () => copy(client, `${partition} TO`, copyFile)))
  }
  round.set(
    'copyAndGzip',
    await measure(rows, () => copyTableToGzip(client, partition, join(folder, 'peer.ndjson.gz'))),
  )
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const startedAt = Date.now()
  let manifest = ''
  const retention = await measure(rows, async () => {
    const { retired, failures } = await store.applyRetention({ keepMonths: KEEP_MONTHS, archiveDir: folder })
    if (failures[0]) throw failures[0].error
    const [only] = retired
    if (only?.rows !== rows || only.manifest === null) throw new Error('the month was not taken out')
    manifest = only.manifest
  })
  round.set('retention', retention)
  // The manifest is the last that is written of an archive.
  const archiveSeconds = ((await stat(manifest)).mtimeMs - startedAt) / 1000
  const part = (seconds: number) => ({ rows, seconds, cpuMicros: Number.NaN })
  round.set('archive', part(archiveSeconds))
  round.set('verify', part(retention.seconds - archiveSeconds))
  if (copyFile !== undefined) round.set('copyFrom', await measureCopyFrom(client, rows, partition, copyFile))
  round.set(
    'restore',
    await measure(rows, async () => {
      await store.restorePartition(manifest)
    }),
  )
  return { round, archive: await readArchiveSize(manifest) }
}

/** Into a table with the indexes of a month, without its triggers, as a restore fills it. */
async function measureCopyFrom(
  client: BenchDatabase['client'],
  rows: number,
  partition: string,
  copyFile: string,
): Promise<Measurement> {
  const table = `${partition}_copied`
  await client.query(`CREATE TABLE ${table} (LIKE alerts INCLUDING ALL)`)
  await client.query(`CREATE UNIQUE INDEX ON ${table} (alert_id, host_id)`)
  const measurement = await measure(rows, () => copy(client, `${table} FROM`, copyFile))
  await client.query(`DROP TABLE ${table}`)
  return measurement
}

async function copy(client: BenchDatabase['client'], what: string, path: string): Promise<void> {
  await client.query(`COPY ${what} '${path.replaceAll("'", "''")}' (FORMAT binary)`)
}

/** A folder that the server may write into, under whichever account it runs. */
async function makeServerFile(server: BenchServer): Promise<string> {
  const folder = join(server.folder, 'server')
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o777)
  return join(folder, 'month.copy')
}

async function whyNoServerFile({ client }: BenchDatabase, path: string): Promise<string | undefined> {
  await rm(path, { force: true })
  try {
    await client.query(`COPY (SELECT 1) TO '${path.replaceAll("'", "''")}' (FORMAT binary)`)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function readArchiveSize(manifest: string): Promise<ArchiveSize> {
  const value: unknown = JSON.parse(await readFile(manifest, 'utf8'))
  if (typeof value !== 'object' || value === null || !('contentBytes' in value) || !('fileBytes' in value))
    throw new Error(`${manifest} does not say how large the archive is`)
  return { contentBytes: Number(value.contentBytes), fileBytes: Number(value.fileBytes) }
}

function summarise(step: Step, rounds: readonly Round[], contentBytesPerRow: number): SpeedFigures {
  const ratesOf = (each: Step) =>
    rounds.map(round => {
      const measurement = round.get(each)
      return measurement ? rowsPerSecond(measurement) : Number.NaN
    })
  const rates = ratesOf(step)
  const ceiling = CEILINGS[step]
  const ceilings = ceiling ? ratesOf(ceiling) : rates
  return {
    step: STEPS[step],
    rowsPerSecond: median(rates),
    megabytesPerSecond: (median(rates) * contentBytesPerRow) / MEGABYTE,
    clientCpuMicrosPerRow: median(
      rounds.map(round => {
        const { rows = Number.NaN, cpuMicros = Number.NaN } = round.get(step) ?? {}
        return cpuMicros / rows
      }),
    ),
    shareOfCeiling: median(rates.map((rate, round) => rate / (ceilings[round] ?? Number.NaN))),
  }
}

export function formatSpeed(
  { steps, contentBytesPerRow, fileBytesPerRow, notes }: Speed,
  rounds: number,
): string {
  const table = formatTable(steps, [
    { title: 'speed, nothing else at work', value: row => row.step, align: 'left' },
    { title: 'rows/s', value: row => grouped(row.rowsPerSecond) },
    { title: 'MB/s of content', value: row => fixed(row.megabytesPerSecond, 1) },
    { title: 'client CPU µs/row', value: row => fixed(row.clientCpuMicrosPerRow, 1) },
    { title: '% of ceiling', value: row => fixed(row.shareOfCeiling * 100, 0, ' %') },
  ])
  return [
    `A month taken out and brought back, median of ${rounds} rounds; ${grouped(contentBytesPerRow)} bytes of content a row, ${grouped(fileBytesPerRow)} compressed`,
    table,
    ...notes.map(note => `note: ${note}`),
  ].join('\n')
}
