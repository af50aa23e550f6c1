import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '../../src/index.ts'
import { runScript } from '../support/child-process.ts'
import { KEEP_MONTHS, type Month } from './month-rows.ts'

/** What runs beside the load. */
export interface Beside {
  readonly name: string
  /** Whether the months are gone afterwards. */
  readonly takesOut: boolean
  /** @throws when not every month was taken out with all its rows. */
  run(work: Work): Promise<void>
}

export interface Work {
  /** How long the load is measured alone. */
  readonly seconds: number
  readonly store: Store
  readonly connectionString: string
  /** For the archives. It is empty. */
  readonly folder: string
  readonly months: readonly Month[]
  readonly rowsPerMonth: number
}

/** The load alone. Twice in a round: how much two runs of the same differ says what the other differences mean. */
export const WITHOUT: Beside = {
  name: 'without',
  takesOut: false,
  run: ({ seconds }) => sleep(seconds * 1000),
}
export const WITHOUT_AGAIN: Beside = { ...WITHOUT, name: 'without, again' }

export const OTHER_PROCESS: Beside = {
  name: 'retention in another process',
  takesOut: true,
  run: async work => {
    const args = ['partitions', 'retain', '--keep-months', String(KEEP_MONTHS), '--archive-dir', work.folder]
    const stdout = await runScript(work.connectionString, 'src/cli/main.ts', [...args, '--json'])
    const retired = stdout.split('\n').flatMap(line => (line === '' ? [] : [parseRetired(line)]))
    requireAll(
      work,
      retired.filter(month => month !== undefined),
    )
  },
}

export const SAME_PROCESS: Beside = {
  name: 'retention in the same process',
  takesOut: true,
  run: async work => {
    const { folder } = work
    const { retired, failures } = await work.store.applyRetention({
      keepMonths: KEEP_MONTHS,
      archiveDir: folder,
    })
    if (failures[0]) throw failures[0].error
    requireAll(work, retired)
  },
}

/** The peer: what a script makes of COPY and gzip, at full speed. */
export const COPY_AND_GZIP: Beside = {
  name: 'COPY TO STDOUT | gzip, another process',
  takesOut: false,
  run: async ({ connectionString, folder, months }) => {
    const tables = months.map(({ partition }) => partition)
    await runScript(connectionString, 'bench/partitions/copy-months.ts', [folder, ...tables])
  },
}

/** Runs `work` with an empty folder for archives, which goes afterwards. */
export async function withArchiveFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(parent, 'archive-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Retired {
  readonly partition: unknown
  readonly outcome: unknown
  readonly rows: unknown
}

/** A line of the command: a month that left, or at the end the failures. */
function parseRetired(line: string): Retired | undefined {
  const value: unknown = JSON.parse(line)
  if (typeof value !== 'object' || value === null || !('outcome' in value)) return undefined
  return {
    partition: 'partition' in value ? value.partition : undefined,
    outcome: value.outcome,
    rows: 'rows' in value ? value.rows : undefined,
  }
}

function requireAll({ months, rowsPerMonth }: Work, retired: readonly Retired[]): void {
  const gone = retired.filter(({ outcome, rows }) => outcome === 'dropped' && rows === rowsPerMonth)
  if (gone.length === months.length) return
  throw new Error(`${gone.length} of ${months.length} months were taken out: ${JSON.stringify(retired)}`)
}
