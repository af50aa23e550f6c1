import { openPipelinedInserts } from '../peers/pipelined-inserts.ts'
import { openServerCopy, whyNoServerCopy, writeCopyFiles } from '../peers/server-copy.ts'
import { openSingleInserts } from '../peers/single-inserts.ts'
import { openUnnestInserts } from '../peers/unnest-inserts.ts'
import { type BenchAlert, makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { BenchServer } from '../support/bench-server.ts'
import type { Run } from '../support/measure.ts'
import { LIST_SIZE, openListProducers, openOneProducer, PRODUCERS } from './engine-runs.ts'

/** Slow variants write fewer rows, so that the whole run stays short. */
const SINGLE_ROW_SHARE = 1 / 20
const SMALL_BATCH_SHARE = 1 / 4
const SMALL_BATCH = 100
const LARGE_BATCH = 5000

/** A way to write alerts that is measured. */
export interface Variant {
  readonly name: string
  /** What the others are compared with. */
  readonly role?: 'pipelined' | 'pipelined-go-schema' | 'ceiling'
  readonly database: BenchDatabase
  readonly rows: number
  /** Everything that has to stand before the window opens. */
  open(): Promise<Run>
}

export interface VariantSetup {
  readonly server: BenchServer
  readonly database: BenchDatabase
  readonly seedDatabase: BenchDatabase
  readonly rows: number
}

export interface VariantList {
  readonly variants: readonly Variant[]
  readonly notes: readonly string[]
}

export async function listVariants(setup: VariantSetup): Promise<VariantList> {
  const ceilings = await listCeilings(setup)
  return { variants: [...listPeers(setup), ...listOurs(setup), ...ceilings.variants], notes: ceilings.notes }
}

function listPeers({ database, seedDatabase, rows }: VariantSetup): readonly Variant[] {
  const single = Math.ceil(rows * SINGLE_ROW_SHARE)
  const small = Math.ceil(rows * SMALL_BATCH_SHARE)
  const pipelined = `pipelined INSERTs, batches of ${SMALL_BATCH}`
  const openPipelined = (url: string, alerts: readonly BenchAlert[]) =>
    openPipelinedInserts(url, alerts, SMALL_BATCH)
  return [
    variant('single-row INSERTs', database, single, openSingleInserts),
    { ...variant(pipelined, database, small, openPipelined), role: 'pipelined' },
    // Our triggers run once a statement, which is dear for statements of one row. So the peer also gets the table that
    // it was written for.
    {
      ...variant(`${pipelined}, Go version's schema`, seedDatabase, small, openPipelined),
      role: 'pipelined-go-schema',
    },
    variant(`INSERT … unnest, batches of ${SMALL_BATCH}`, database, small, (url, alerts) =>
      openUnnestInserts(url, alerts, SMALL_BATCH),
    ),
    variant(
      `INSERT … unnest, batches of ${LARGE_BATCH.toLocaleString('en-US')}`,
      database,
      rows,
      (url, alerts) => openUnnestInserts(url, alerts, LARGE_BATCH),
    ),
  ]
}

function listOurs({ database, rows }: VariantSetup): readonly Variant[] {
  const small = Math.ceil(rows * SMALL_BATCH_SHARE)
  return [
    variant('Store, batchInsertAlerts, 1 producer, batchSize 100', database, small, openOneProducer),
    variant(
      `Store, insertAlerts, ${PRODUCERS} producers × ${LIST_SIZE.toLocaleString('en-US')}`,
      database,
      rows,
      openListProducers,
    ),
  ]
}

async function listCeilings({ server, database, rows }: VariantSetup): Promise<VariantList> {
  const alerts = makeAlerts(database.hostIds, rows)
  const [one, two] = [
    await writeCopyFiles(server.folder, alerts, 1),
    await writeCopyFiles(server.folder, alerts, 2),
  ]
  const reason = await whyNoServerCopy(database, two[0] ?? '')
  if (reason !== undefined) {
    return { variants: [], notes: [`no ceiling: the server cannot read the files of COPY: ${reason}`] }
  }
  const ceiling = (name: string, paths: readonly string[]): Variant => ({
    name,
    database,
    rows,
    open: () => openServerCopy(database.connectionString, paths),
  })
  return {
    variants: [
      { ...ceiling('ceiling: server-side COPY, 1 backend', one), role: 'ceiling' },
      ceiling('ceiling: server-side COPY, 2 backends', two),
    ],
    notes: [],
  }
}

function variant(
  name: string,
  database: BenchDatabase,
  rows: number,
  open: (connectionString: string, alerts: readonly BenchAlert[]) => Promise<Run>,
): Variant {
  return {
    name,
    database,
    rows,
    open: () => open(database.connectionString, makeAlerts(database.hostIds, rows)),
  }
}
