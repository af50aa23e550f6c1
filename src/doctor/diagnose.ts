import { DatabaseError, TripwireStorageError } from '../errors.ts'
import { Database } from '../pg/database.ts'
import { checkAlertCounts } from './check-alert-counts.ts'
import { checkAlertJournal } from './check-alert-journal.ts'
import { checkClockSkew } from './check-clock-skew.ts'
import { checkDeadLetters } from './check-dead-letters.ts'
import { checkFarFuture } from './check-far-future.ts'
import { checkMaintenance } from './check-maintenance.ts'
import { checkMissingMonth, checkShortHorizon } from './check-months.ts'
import type { CheckOutcome } from './check-outcome.ts'
import {
  checkDisabledTrigger,
  checkForeignOwner,
  checkNotATable,
  checkUnloggedPartition,
} from './check-partition-tables.ts'
import {
  checkDefaultPartition,
  checkIncompletePartition,
  checkMisalignedPartition,
  checkPendingDetach,
} from './check-partitions.ts'
import { checkRetentionLag, checkUnfinishedRetirement } from './check-retention.ts'
import { checkSchemaDrift, checkSchemaVersion } from './check-schema.ts'
import { checkSessionSettings } from './check-session-settings.ts'
import { checkTableSetAside } from './check-set-aside.ts'
import { checkSpool } from './check-spool.ts'
import { checkTableInTheWay } from './check-table-in-the-way.ts'
import { type CheckContext, CLIENT_TIMEOUT_MS, createContext } from './context.ts'
import { type DiagnoseOptions, parseDiagnoseOptions } from './diagnose-options.ts'
import { CHECK_NAMES, type Check, type CheckName, type Diagnosis } from './diagnosis.ts'

const RUN: Readonly<Record<CheckName, (context: CheckContext) => Promise<CheckOutcome>>> = {
  'schema-version': checkSchemaVersion,
  'schema-drift': checkSchemaDrift,
  'session-settings': checkSessionSettings,
  'missing-month': checkMissingMonth,
  'short-horizon': checkShortHorizon,
  'default-partition': checkDefaultPartition,
  'pending-detach': checkPendingDetach,
  'incomplete-partition': checkIncompletePartition,
  'misaligned-partition': checkMisalignedPartition,
  'not-a-table': checkNotATable,
  'foreign-owner': checkForeignOwner,
  'unlogged-partition': checkUnloggedPartition,
  'disabled-trigger': checkDisabledTrigger,
  'table-in-the-way': checkTableInTheWay,
  'table-set-aside': checkTableSetAside,
  'far-future': checkFarFuture,
  'retention-lag': checkRetentionLag,
  'unfinished-retirement': checkUnfinishedRetirement,
  'alert-counts': checkAlertCounts,
  'alert-journal': checkAlertJournal,
  'clock-skew': checkClockSkew,
  'dead-letters': checkDeadLetters,
  spool: checkSpool,
  maintenance: checkMaintenance,
}

const SERVER_VERSION = `
  SELECT current_setting('server_version') AS version`

/**
 * Examines a database: what is wrong, what that means, and what mends it. Reads only, waits for no lock for longer than a
 * second, and looks at catalogues and indexes, so it may run beside an ingest at any time. A check that fails does not stop
 * the others: its status is `unchecked`.
 *
 * ```ts
 * const { checks } = await diagnose({ connectionString })
 * for (const { name, message, mend } of checks.flatMap(check => check.findings)) console.log(name, message, mend)
 * ```
 * @throws DatabaseError CONNECTION_FAILED when the server cannot be asked at all; InvalidInputError.
 */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const parsed = parseDiagnoseOptions(options)
  const db = new Database({
    connectionString: parsed.connectionString,
    connectTimeoutMs: parsed.connectTimeoutMs,
    maxConnections: 1,
    applicationName: 'tripwire-storage doctor',
    statementTimeoutMs: CLIENT_TIMEOUT_MS,
  })
  try {
    const { rows } = await db.query<{ version: string }>(SERVER_VERSION)
    const checks = await runChecks(createContext(db, parsed))
    return { checkedAt: new Date().toISOString(), serverVersion: rows[0]?.version ?? '', checks }
  } finally {
    await db.close()
  }
}

/** What can be found out without our tables, and without any database. */
const NEED_NO_SCHEMA: ReadonlySet<CheckName> = new Set([
  'schema-version',
  'schema-drift',
  'clock-skew',
  'spool',
])
const NEED_NO_DATABASE: ReadonlySet<CheckName> = new Set(['spool'])

async function runChecks(context: CheckContext): Promise<readonly Check[]> {
  const checks: Check[] = []
  let schemaIsMissing: string | undefined
  let connectionIsLost: string | undefined
  for (const name of CHECK_NAMES) {
    const reason =
      (NEED_NO_DATABASE.has(name) ? undefined : connectionIsLost) ??
      (NEED_NO_SCHEMA.has(name) ? undefined : schemaIsMissing)
    if (reason !== undefined) {
      checks.push({ name, status: 'unchecked', message: reason, findings: [], details: {} })
      continue
    }
    const check = await runCheck(name, context)
    checks.push(check)
    if (check.findings.some(({ details }) => details['code'] === 'NOT_MIGRATED')) {
      schemaIsMissing = `needs the schema: ${check.message}`
    }
    if (check.details['isConnectionLost'] === true) connectionIsLost = check.message
  }
  return checks
}

async function runCheck(name: CheckName, context: CheckContext): Promise<Check> {
  try {
    const { message, findings = [], details = {}, isUnchecked = false } = await RUN[name](context)
    return {
      name,
      status: findings.length > 0 ? 'finding' : isUnchecked ? 'unchecked' : 'ok',
      message,
      findings: findings.map(finding => ({ name, details: {}, ...finding })),
      details,
    }
  } catch (error) {
    if (!(error instanceof TripwireStorageError)) throw error
    return {
      name,
      status: 'unchecked',
      message: error.message,
      findings: [],
      details: { code: error.code, isConnectionLost: isConnectionLost(error) },
    }
  }
}

/** A session that was ended says so with an SQLSTATE, and another one can be had. A server that is silent would be silent again. */
function isConnectionLost(error: TripwireStorageError): boolean {
  return error instanceof DatabaseError && error.code === 'CONNECTION_FAILED' && error.sqlState === undefined
}
