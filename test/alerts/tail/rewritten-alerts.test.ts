import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { diagnose, type Store } from '../../../src/index.ts'
import { connectClient } from '../../partitions/fixtures.ts'
import { newAlert, newAlerts, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { waitForWaiters } from '../../store/lock-alerts.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()
const MONTH = 'alerts_y2026m03'
const RECEIVED_AT = '2026-03-10T12:00:00Z'

let store: Store
let hostId: string
beforeEach(async () => {
  store = await openStore(database)
  hostId = await newHost(store)
})
afterEach(() => store.close())

/** The place of a tail, and what was stored behind it. */
async function storeBehindPlace(): Promise<{ after: string | undefined; alertIds: readonly string[] }> {
  await using tail = store.tailAlerts({ filter: { hostId } })
  await tail.started()
  const after = tail.resumeToken
  const alerts = newAlerts(2, hostId, { receivedAt: RECEIVED_AT })
  await store.insertAlerts(alerts)
  return { after, alertIds: alerts.map(({ alertId }) => alertId).toSorted() }
}

async function expectDelivered(after: string | undefined, alertIds: readonly string[]): Promise<void> {
  await using tail = store.tailAlerts({ filter: { hostId }, after, pollIntervalMs: 10 })
  const delivered: unknown[] = []
  for (const _ of alertIds) delivered.push((await tail.next()).value?.alert.alertId)
  expect(delivered.toSorted()).toEqual(alertIds)
}

async function expectExpired(after: string | undefined): Promise<void> {
  await using tail = store.tailAlerts({ filter: { hostId }, after })
  expect(await rejection(tail.next())).toMatchObject({
    code: 'TAIL_EXPIRED',
    hint: expect.stringContaining('streamAlerts'),
  })
}

/** What writes every alert, or every row of the journal, by another transaction. */
const WRITE_ANEW = [
  'ALTER TABLE alerts ADD COLUMN added UUID DEFAULT gen_random_uuid()',
  'ALTER TABLE alerts ADD COLUMN added BIGSERIAL',
  'ALTER TABLE alerts ADD COLUMN added INTEGER GENERATED ALWAYS AS (length(rule_name)) STORED',
  'ALTER TABLE alerts ALTER COLUMN rule_name TYPE VARCHAR(500)',
  `ALTER TABLE ${MONTH} SET UNLOGGED`,
  'ALTER TABLE alert_journal ALTER COLUMN alerts TYPE NUMERIC',
]
const UNDO = `
  ALTER TABLE alerts DROP COLUMN IF EXISTS added;
  ALTER TABLE alerts ALTER COLUMN rule_name TYPE TEXT;
  ALTER TABLE ${MONTH} SET LOGGED;
  ALTER TABLE alert_journal ALTER COLUMN alerts TYPE BIGINT`

describe('F41: a tail misses no alert', () => {
  it.each([
    `VACUUM (FREEZE) ${MONTH}`,
    `VACUUM FULL ${MONTH}`,
    `CLUSTER ${MONTH} USING ${MONTH}_stored_once`,
    'VACUUM FULL alert_journal',
    `REINDEX TABLE ${MONTH}`,
    'ALTER TABLE alerts ADD COLUMN constant INTEGER DEFAULT 5',
    'ALTER TABLE alerts ADD COLUMN stable TIMESTAMPTZ DEFAULT now()',
    `ALTER TABLE alerts DETACH PARTITION ${MONTH};
     ALTER TABLE alerts ATTACH PARTITION ${MONTH} FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-04-01 00:00+00')`,
  ])('after %s', async sql => {
    const { after, alertIds } = await storeBehindPlace()
    await database.sql(sql)
    await expectDelivered(after, alertIds)
  })

  it('when all are written anew: every tail expires', async () => {
    // The numbers of transactions that run stay within reach of a journal that is begun anew.
    await using running = await connectClient(database.directConnectionString)
    await running.query('BEGIN')
    await running.query('SELECT pg_current_xact_id()')
    const filter = { hostId }
    await using begun = store.tailAlerts({ filter })
    await begun.started()
    const beginning = begun.resumeToken
    await store.insertAlerts(newAlerts(2, hostId))
    await using within = store.tailAlerts({ filter, after: beginning })
    await within.next()
    const token = within.resumeToken
    await within.next()
    await using caughtUp = store.tailAlerts({ filter, pollIntervalMs: 10 })
    await caughtUp.started()

    await database.sql(`
      BEGIN;
      LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE;
      SELECT expire_alert_tails();
      ALTER TABLE alerts ADD COLUMN marked UUID DEFAULT gen_random_uuid();
      COMMIT`)

    const expired = { code: 'TAIL_EXPIRED', hint: expect.stringContaining('streamAlerts') }
    for (const tail of [begun, caughtUp]) expect(await rejection(tail.next())).toMatchObject(expired)
    for (const after of [beginning, token]) await expectExpired(after)
    await using anew = store.tailAlerts({ filter })
    await anew.started()
    const next = newAlert(hostId)
    await store.insertAlerts([next])
    expect((await anew.next()).value?.alert.alertId).toBe(next.alertId)
  })

  it.each([
    ['unlogged-partition', `ALTER TABLE ${MONTH} SET UNLOGGED`],
    ['schema-drift', 'ALTER TABLE alerts ALTER COLUMN rule_name TYPE VARCHAR(500)'],
  ])('when the doctor mends %s: every tail expires', async (name, damage) => {
    await database.sql(damage)
    const { after } = await storeBehindPlace()
    const { checks } = await diagnose({ connectionString: database.connectionString })
    const found = checks.flatMap(({ findings }) => findings).filter(finding => finding.name === name)
    for (const { mend } of found) await database.sql(mend)
    expect(found.length).toBeGreaterThan(0)
    await expectExpired(after)
    await database.sql(UNDO)
  })
})

describe.each([
  ['unlogged-partition', `ALTER TABLE ${MONTH} SET UNLOGGED`],
  ['schema-drift', 'ALTER TABLE alerts ALTER COLUMN rule_name TYPE CHAR(200)'],
])('what the doctor advises at %s', (name, damage) => {
  /** The SQL of the only finding. */
  async function damageAndDiagnose(): Promise<string> {
    await database.sql(damage)
    onTestFinished(async () => void (await database.sql(UNDO)))
    const { checks } = await diagnose({ connectionString: database.connectionString })
    const found = checks.flatMap(({ findings }) => findings).filter(finding => finding.name === name)
    expect(found).toHaveLength(1)
    return found[0]?.mend ?? ''
  }

  it('writes nothing anew when tails cannot expire, because the journal is being pruned', async () => {
    const mend = await damageAndDiagnose()
    await store.insertAlerts([newAlert(hostId, { receivedAt: RECEIVED_AT })])
    // What a sequence has given stays given, whatever is rolled back.
    await database.sql(`
      CREATE SEQUENCE tables_written_anew;
      CREATE FUNCTION count_tables() RETURNS event_trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM nextval('tables_written_anew');
      END $$;
      CREATE EVENT TRIGGER count_tables ON table_rewrite EXECUTE FUNCTION count_tables()`)
    onTestFinished(async () => {
      await database.sql('DROP FUNCTION count_tables() CASCADE; DROP SEQUENCE tables_written_anew')
    })
    const isCounted = async () => (await database.sql('SELECT is_called FROM tables_written_anew'))[0]
    await using pruning = await connectClient(database.directConnectionString)
    await pruning.query('BEGIN; UPDATE alert_journal_state SET pruned_through = pruned_through')
    await expect(database.sql(mend)).rejects.toMatchObject({ code: '55P03' })
    expect(await isCounted()).toEqual({ is_called: false })
    await pruning.query('COMMIT')
    await database.sql(mend)
    expect(await isCounted()).toEqual({ is_called: true })
  })

  it('waits for writers before tails expire, so that nothing is in the journal which is written anew', async () => {
    const mend = await damageAndDiagnose()
    await using writer = await connectClient(database.directConnectionString)
    await writer.query(`
      BEGIN;
      INSERT INTO alerts (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
      VALUES ('${hostId}', now(), 'FILE', 'a rule', 'INFO', '${RECEIVED_AT}')`)
    const mending = database.sql(mend)
    await waitForWaiters(database, 1)
    await writer.query('COMMIT')
    await mending
    expect(await database.sql('SELECT FROM alert_journal')).toEqual([])
  })
})

describe('the event trigger of the page for operators', () => {
  const page = readFileSync(new URL('../../../docs/operations/alert-tail.md', import.meta.url), 'utf8')
  const [, create = ''] = /```sql\n(CREATE FUNCTION expire_tails[\s\S]*?)```/.exec(page) ?? []

  beforeEach(() => database.sql(create))
  afterEach(() => database.sql(`DROP FUNCTION expire_tails_of_rewritten_alerts() CASCADE; ${UNDO}`))

  it.each(WRITE_ANEW)('expires every tail: %s', async sql => {
    const { after } = await storeBehindPlace()
    await database.sql(sql)
    await expectExpired(after)
  })

  it('lets tails go on where rows stay as they are, or where other tables are written anew', async () => {
    const { after, alertIds } = await storeBehindPlace()
    await database.sql(`VACUUM FULL ${MONTH}`)
    await database.sql('ALTER TABLE hosts ADD COLUMN added UUID DEFAULT gen_random_uuid()')
    await database.sql('ALTER TABLE hosts DROP COLUMN added')
    await expectDelivered(after, alertIds)
  })

  it('is nothing that the doctor minds', async () => {
    const { checks } = await diagnose({ connectionString: database.connectionString })
    const drift = checks.find(({ name }) => name === 'schema-drift')
    expect(drift?.findings.filter(({ message }) => message.includes('expire_tails'))).toEqual([])
  })
})
