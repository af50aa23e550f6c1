import type { AlertPartition } from '../model/partition.ts'
import { listPartitions } from '../partitions/list-partitions.ts'
import type { Database, QueryRunner } from '../pg/database.ts'
import type { ParsedDiagnoseOptions } from './diagnose-options.ts'
import { type MaintenanceTask, readMaintenanceTasks } from './maintenance-tasks.ts'
import { readAlertColumns } from './move-alerts.ts'
import { type PartitionTable, readPartitionTables } from './partition-tables.ts'

const STATEMENT_TIMEOUT_MS = 10_000
/** Nobody shall wait behind a diagnosis, and a diagnosis behind nobody. */
const LOCK_TIMEOUT_MS = 1000

/** Everything in it reads only, and gives up rather than wait. */
const BEGIN_READING = `
  SET TRANSACTION READ ONLY;
  SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS};
  SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`

/** For what has an order and a limit: without statistics, the planner may think that reading all of a table is cheaper. */
export const USE_INDEXES = `
  SET LOCAL enable_seqscan = off`

/** For a server that does not answer any more: longer than its own limit. */
export const CLIENT_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5000

export interface PartitionsNow {
  /** By the clock of the server. */
  readonly nowMs: number
  readonly partitions: readonly AlertPartition[]
}

/** What the checks ask. What several need is asked once. */
export interface CheckContext {
  readonly options: ParsedDiagnoseOptions
  /** Asks the database, in a read-only transaction of its own. */
  ask<T>(work: (transaction: QueryRunner) => Promise<T>): Promise<T>
  partitions(): Promise<PartitionsNow>
  tasks(): Promise<readonly MaintenanceTask[]>
  alertColumns(): Promise<readonly string[]>
  partitionTables(): Promise<readonly PartitionTable[]>
}

const SERVER_NOW = `
  SELECT extract(epoch FROM now()) * 1000 AS now`

export function createContext(db: Database, options: ParsedDiagnoseOptions): CheckContext {
  const ask = <T>(work: (transaction: QueryRunner) => Promise<T>) =>
    db.transaction(async transaction => {
      await transaction.runScript(BEGIN_READING)
      return work(transaction)
    })
  return {
    options,
    ask,
    partitions: once(() =>
      ask(async transaction => {
        const { rows } = await transaction.query<{ now: string }>(SERVER_NOW)
        return { nowMs: Number(rows[0]?.now), partitions: await listPartitions(transaction) }
      }),
    ),
    tasks: once(() => ask(readMaintenanceTasks)),
    alertColumns: once(() => ask(readAlertColumns)),
    partitionTables: once(() => ask(readPartitionTables)),
  }
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined
  return () => {
    started ??= work()
    return started
  }
}
