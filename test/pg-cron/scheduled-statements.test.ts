import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
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

/** What the documentation tells operators to schedule, and on which page. */
const JOBS = {
  'tripwire-partitions': 'partitions.md',
  'tripwire-counts': 'alert-counts.md',
  'tripwire-journal': 'alert-tail.md',
} as const
type Job = keyof typeof JOBS
/** Those of what was written by the hour and in the journal. */
const ALERT_JOBS = ['tripwire-counts', 'tripwire-journal'] as const

const OWNER = 'postgres'
/** Owns nothing, and may call the function of the schema `other`, which its search_path names. */
const SCHEDULER = 'scheduler'
/** Owns nothing, and may call the functions of the schema `counted`, which its search_path names. */
const COUNTER = 'counter'
/** Owns nothing, and may call nothing. */
const STRANGER = 'stranger'

let server: DebianPostgres | undefined

async function sql(text: string): Promise<readonly Record<string, unknown>[]> {
  if (server === undefined) throw new Error('the server runs only while the tests do')
  return runAdminSql(server.connectionString, text)
}

/** The block of SQL on the page of a job that has these words. */
function sqlBlock(job: Job, words: string): string {
  const page = readFileSync(new URL(`../../docs/operations/${JOBS[job]}`, import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  const found = blocks.filter(block => block.includes(words))
  expect(found).toHaveLength(1)
  return found[0] ?? ''
}

/** The line of the page, for every minute: `cron.schedule(name, when, command)`. */
function scheduleSql(job: Job): string {
  const line = sqlBlock(job, `cron.schedule('${job}'`)
  const everyMinute = line.replace(/(cron\.schedule\('[^']+', )'[^']+'/, "$1'* * * * *'")
  expect(everyMinute).toContain('* * * * *')
  return everyMinute
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

/** How the first run of a job of a role ended, and the months that were due when it began. */
async function firstRunOf(role: string, job: Job) {
  const [run] = await sql(`
    SELECT
      run.status,
      run.return_message AS message,
      ARRAY(
        SELECT to_char(run.start_time AT TIME ZONE 'UTC' + ahead * INTERVAL '1 month', '"alerts_y"YYYY"m"MM')
        FROM generate_series(0, 3) AS ahead
      ) AS "monthsDue"
    FROM cron.job_run_details AS run
    JOIN cron.job
      ON job.jobid = run.jobid
    WHERE job.username = '${role}'
      AND job.jobname = '${job}'
      AND run.end_time IS NOT NULL
    ORDER BY run.runid
    LIMIT 1`)
  return run
}

async function waitForRunOf(role: string, job: Job = 'tripwire-partitions') {
  await expect.poll(() => firstRunOf(role, job), { timeout: RUN_WITHIN_MS, interval: 250 }).toBeDefined()
  return firstRunOf(role, job)
}

/** A schema with a month of alerts whose hours can be counted, and with rows of the journal of two days and of four days ago. */
async function migrateWithAlerts(connectionString: string, schema: string): Promise<void> {
  await migrateUp({ connectionString: `${connectionString}?options=-csearch_path%3D${schema}` })
  await sql(`SELECT ${schema}.ensure_alert_partition('2026-02-15Z')`)
  await sql(`INSERT INTO ${schema}.hosts (hostname) VALUES ('web-1')`)
  for (const days of [4, 2, 0]) {
    await sql(`
      INSERT INTO ${schema}.alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
      SELECT host_id, now(), 'FILE', 'rule', 'INFO', '2026-02-15 12:00+00'
      FROM ${schema}.hosts`)
    await sql(`
      UPDATE ${schema}.alert_journal
      SET written_at = now() - INTERVAL '${days} days'
      WHERE written_at > now() - INTERVAL '1 hour'`)
  }
  const step = `SELECT state, closed_hours FROM ${schema}.roll_up_alert_hours(1)`
  await vi.waitFor(async () => expect(await sql(step)).toMatchObject([{ closed_hours: 1 }]))
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
      await sql('CREATE SCHEMA counted')
      await migrateWithAlerts(server.connectionString, 'counted')
      for (const role of [SCHEDULER, COUNTER, STRANGER]) {
        await sql(`CREATE ROLE ${role} LOGIN`)
        await sql(`GRANT USAGE ON SCHEMA cron TO ${role}`)
      }
      await sql(`GRANT USAGE ON SCHEMA other TO ${SCHEDULER}`)
      await sql(`GRANT EXECUTE ON FUNCTION other.ensure_alert_partitions(integer) TO ${SCHEDULER}`)
      await sql(`ALTER ROLE ${SCHEDULER} SET search_path = other`)
      await sql(`GRANT USAGE ON SCHEMA counted TO ${COUNTER}`)
      for (const job of ALERT_JOBS) {
        await sql(`SET search_path = counted; ${sqlBlock(job, 'TO scheduler').replace('scheduler', COUNTER)}`)
      }
      await sql(`ALTER ROLE ${COUNTER} SET search_path = counted`)
      expect(await monthsOf('public')).toEqual([])
      expect(await monthsOf('other')).toEqual([])
      // All at the same minute, so that one wait is enough.
      for (const role of [OWNER, SCHEDULER, STRANGER])
        await sql(`SET ROLE ${role}; ${scheduleSql('tripwire-partitions')}`)
      for (const role of [OWNER, COUNTER, STRANGER]) {
        for (const job of ALERT_JOBS) await sql(`SET ROLE ${role}; ${scheduleSql(job)}`)
      }
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

    it('counts hours, for the owner, and for a role that owns nothing and may call the function', async () => {
      for (const role of [OWNER, COUNTER]) {
        expect(await waitForRunOf(role, 'tripwire-counts')).toMatchObject({
          status: 'succeeded',
          message: 'SELECT 1',
        })
      }
      expect(await sql(`SELECT isfinite(marked_through) AS marked FROM alert_count_state`)).toEqual([
        { marked: true },
      ])
      const [{ hours } = {}] = await sql('SELECT count(*)::int AS hours FROM counted.rolled_alert_hours')
      expect(hours).toBeGreaterThanOrEqual(25)
    })

    it('prunes the journal, for the owner, and for a role that owns nothing and may call the function', async () => {
      for (const role of [OWNER, COUNTER]) {
        expect(await waitForRunOf(role, 'tripwire-journal')).toMatchObject({
          status: 'succeeded',
          message: 'SELECT 1',
        })
      }
      expect(
        await sql(
          `SELECT (extract(epoch FROM now() - written_at) / 86400)::int AS days FROM counted.alert_journal ORDER BY 1`,
        ),
      ).toEqual([{ days: 0 }, { days: 2 }])
      for (const schema of ['public', 'counted']) {
        const recorded = `SELECT settings FROM ${schema}.maintenance_tasks WHERE task = 'prune_journal' AND last_success_at IS NOT NULL`
        expect(await sql(recorded)).toEqual([{ settings: { keepHours: 72 } }])
      }
    })

    it.each([
      ['tripwire-partitions', 'ensure_alert_partitions'],
      ['tripwire-counts', 'roll_up_alert_hours'],
      ['tripwire-journal', 'prune_alert_journal'],
    ] as const)('%s reports a failure for a role that may not call the function', async (job, name) => {
      expect(await waitForRunOf(STRANGER, job)).toMatchObject({
        status: 'failed',
        message: expect.stringContaining(`permission denied for function ${name}`),
      })
    })
  },
  { timeout: RUN_WITHIN_MS + 20_000 },
)
