import { afterAll, beforeAll, expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import { runAdminSql } from '../support/admin-sql.ts'
import {
  DEBIAN_DATABASE,
  type DebianPostgres,
  pgCronMissing,
  startDebianPostgres,
} from '../support/debian-postgres.ts'
import { describeUnless } from '../support/describe-unless.ts'

/** pg_cron starts jobs at the beginning of a minute. */
const RUN_WITHIN_MS = 130_000

/** The line that the documentation gives to operators. */
const SCHEDULE = `
  SELECT cron.schedule('tripwire-partitions', '* * * * *', 'SELECT * FROM ensure_alert_partitions(3)')`

const OWNER = 'postgres'
/** Owns nothing, and may call the function of the schema `other`, which its search_path names. */
const SCHEDULER = 'scheduler'
/** Owns nothing, and may call nothing. */
const STRANGER = 'stranger'

let server: DebianPostgres | undefined

async function sql(text: string): Promise<readonly Record<string, unknown>[]> {
  if (server === undefined) throw new Error('the server runs only while the tests do')
  return runAdminSql(server.connectionString, text)
}

async function startServer(): Promise<DebianPostgres> {
  return startDebianPostgres({
    shared_preload_libraries: 'pg_cron',
    'cron.database_name': DEBIAN_DATABASE,
    // Otherwise it logs in as the role of each job, as any client does, and needs a password file.
    'cron.use_background_workers': 'on',
    max_worker_processes: '16',
  })
}

/** The schema without any month: `migrateUp` makes that of today. */
async function migrateWithoutMonths(connectionString: string, schema: string): Promise<void> {
  await migrateUp({ connectionString: `${connectionString}?options=-csearch_path%3D${schema}` })
  for (const month of await monthsOf(schema)) await sql(`DROP TABLE ${schema}.${month}`)
}

async function monthsOf(schema: string): Promise<readonly unknown[]> {
  const rows = await sql(`
    SELECT partition_name
    FROM ${schema}.list_alert_partitions()
    WHERE state = 'attached'
      AND is_month
      AND is_complete
    ORDER BY range_from`)
  return rows.map(row => row['partition_name'])
}

/** How the first run of the job of a role ended, and the months that were due when it began. */
async function firstRunOf(role: string) {
  const [run] = await sql(`
    SELECT
      status,
      return_message AS message,
      ARRAY(
        SELECT to_char(start_time AT TIME ZONE 'UTC' + ahead * INTERVAL '1 month', '"alerts_y"YYYY"m"MM')
        FROM generate_series(0, 3) AS ahead
      ) AS "monthsDue"
    FROM cron.job_run_details
    WHERE username = '${role}'
      AND end_time IS NOT NULL
    ORDER BY runid
    LIMIT 1`)
  return run
}

async function waitForRunOf(role: string) {
  await expect.poll(() => firstRunOf(role), { timeout: RUN_WITHIN_MS, interval: 250 }).toBeDefined()
  return firstRunOf(role)
}

describeUnless(
  pgCronMissing(),
  'pg_cron',
  () => {
    beforeAll(async () => {
      server = await startServer()
      await sql('CREATE EXTENSION pg_cron')
      await sql('CREATE SCHEMA other')
      await migrateWithoutMonths(server.connectionString, 'public')
      await migrateWithoutMonths(server.connectionString, 'other')
      for (const role of [SCHEDULER, STRANGER]) {
        await sql(`CREATE ROLE ${role} LOGIN`)
        await sql(`GRANT USAGE ON SCHEMA cron TO ${role}`)
      }
      await sql(`GRANT USAGE ON SCHEMA other TO ${SCHEDULER}`)
      await sql(`GRANT EXECUTE ON FUNCTION other.ensure_alert_partitions(integer) TO ${SCHEDULER}`)
      await sql(`ALTER ROLE ${SCHEDULER} SET search_path = other`)
      expect(await monthsOf('public')).toEqual([])
      expect(await monthsOf('other')).toEqual([])
      // All at the same minute, so that one wait is enough.
      for (const role of [OWNER, SCHEDULER, STRANGER]) await sql(`SET ROLE ${role}; ${SCHEDULE}`)
    })
    afterAll(async () => server?.[Symbol.asyncDispose]())

    it('makes this month and the three after it', async () => {
      const run = await waitForRunOf(OWNER)
      expect(run).toMatchObject({ status: 'succeeded', message: 'SELECT 4' })
      expect(await monthsOf('public')).toEqual(run?.['monthsDue'])
    })

    it('makes them for a role that owns nothing and may call the function, in another schema', async () => {
      const run = await waitForRunOf(SCHEDULER)
      expect(run).toMatchObject({ status: 'succeeded', message: 'SELECT 4' })
      expect(await monthsOf('other')).toEqual(run?.['monthsDue'])
      const owners = await sql(`
      SELECT DISTINCT relowner::regrole::text AS owner
      FROM pg_class
      WHERE relnamespace = 'other'::regnamespace
        AND relispartition`)
      expect(owners).toEqual([{ owner: OWNER }])
    })

    it('reports a failure for a role that may not call the function', async () => {
      expect(await waitForRunOf(STRANGER)).toMatchObject({
        status: 'failed',
        message: expect.stringContaining('permission denied for function ensure_alert_partitions'),
      })
    })
  },
  { timeout: RUN_WITHIN_MS + 20_000 },
)
