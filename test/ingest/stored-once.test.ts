import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { NewAlert } from '../../src/index.ts'
import { newAlert, newAlerts, newHost } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { expectStoredOnce, momentInFreshMonth, openWatched, outcomesOf } from './support.ts'

const database = useTestDatabase()
const DAY_MS = 86_400_000
const RETRY_FOR_MS = 20_000

/** The edge between this month and the next. A writer may bring a time that is so far ahead. */
function nextEdge(): number {
  const now = new Date()
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
}

const at = (moment: number) => new Date(moment).toISOString()
/** Lets the guard of the edge believe that it is two seconds after it. The clock of the server cannot be moved. */
async function moveClockOfGuard(): Promise<void> {
  const [row] = await database.sql(
    `SELECT pg_get_functiondef('alerts_check_resends()'::regprocedure) AS definition`,
  )
  const ahead = `(clock_timestamp() + INTERVAL '${nextEdge() + 2000 - Date.now()} milliseconds')`
  const definition = String(row?.['definition'])
  expect(definition).toContain('clock_timestamp()')
  await database.sql(definition.replaceAll('clock_timestamp()', ahead))
  onTestFinished(async () => void (await database.sql(definition)))
}

type Sent = NewAlert & { readonly alertId: string }

/** A session of another client, in a transaction. */
async function openTransaction(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('BEGIN')
  return client
}

async function insertBySql(client: pg.Client, alert: Sent, receivedAt: string): Promise<void> {
  await client.query(
    `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      alert.alertId,
      alert.hostId,
      alert.timestamp,
      alert.tripwireType,
      alert.ruleName,
      alert.severity,
      receivedAt,
    ],
  )
}

async function open() {
  const store = await openWatched(database, { retryForMs: RETRY_FOR_MS })
  return { store, hostId: await newHost(store.store) }
}

describe('F04: an alert that is sent again', () => {
  it("within seven days over a month's edge is a duplicate", async () => {
    const { store, hostId } = await open()
    const edge = Date.UTC(2010, 1)
    const alerts = newAlerts(50, hostId)
    await store.insertAlerts(alerts.map(alert => ({ ...alert, receivedAt: at(edge - 1) })))
    const again = alerts.map(alert => ({ ...alert, receivedAt: at(edge + 6 * DAY_MS) }))
    expect(outcomesOf(await store.insertAlerts(again))).toEqual(alerts.map(() => 'duplicate'))
    for (const alert of again) await store.batchInsertAlerts(alert)
    await store.flush()
    expect(store.check('sent three times')).toMatchObject({ stored: 50, duplicate: 100 })
    await expectStoredOnce(database, alerts)
  })

  it('by two stores at once, 5,000 of them in opposite order, is stored once', async () => {
    const first = await open()
    const second = await open()
    const alerts = newAlerts(5000, first.hostId)
    const [forwards, backwards] = await Promise.all([
      first.store.insertAlerts(alerts),
      second.store.insertAlerts(alerts.toReversed()),
    ])
    const outcomes = [...outcomesOf(forwards), ...outcomesOf(backwards)]
    expect(outcomes.filter(outcome => outcome === 'stored')).toHaveLength(5000)
    expect(outcomes.filter(outcome => outcome === 'duplicate')).toHaveLength(5000)
    const rows = await database.sql(
      `SELECT count(*)::int AS rows, count(DISTINCT alert_id)::int AS ids FROM alerts WHERE host_id = '${first.hostId}'`,
    )
    expect(rows).toEqual([{ rows: 5000, ids: 5000 }])
  })

  // The look ahead is left out while the clock stands in the month of the alert: 006, alerts_check_resends.
  it('with a time in this month, after one in the next that is still to come, is a duplicate', async () => {
    const { store, hostId } = await open()
    const alert = newAlert(hostId)
    await store.insertAlerts([{ ...alert, receivedAt: at(nextEdge() + 1000) }])
    const again = { ...alert, receivedAt: at(nextEdge() - 1000) }
    expect(outcomesOf(await store.insertAlerts([again]))).toEqual(['duplicate'])
  })

  it("by four stores at once, on both sides of a month's edge in each batch, is stored once", async () => {
    await moveClockOfGuard()
    const stores = await Promise.all(Array.from({ length: 4 }, open))
    const [first] = stores
    if (!first) throw new Error('expected stores')
    const edge = nextEdge()
    const alerts = newAlerts(300, first.hostId)
    const answers = await Promise.all(
      stores.map(({ store }, index) =>
        store.insertAlerts(
          alerts.map((alert, position) => ({
            ...alert,
            receivedAt: at((index + position) % 2 === 0 ? edge - 1000 : edge + 1000),
          })),
        ),
      ),
    )
    const outcomes = answers.flatMap(outcomesOf)
    expect(outcomes.filter(outcome => outcome === 'stored')).toHaveLength(300)
    expect(outcomes.filter(outcome => outcome === 'duplicate')).toHaveLength(900)
    await expectStoredOnce(database, alerts)
  })
})

describe("F04: an alert that another session writes on the other side of a month's edge at the same time", () => {
  const edge = nextEdge()
  const sides = [
    {
      order: 'the old month by the other, the new one by us',
      theirs: at(edge - 1000),
      ours: at(edge + 1000),
    },
    {
      order: 'the new month by the other, the old one by us',
      theirs: at(edge + 1000),
      ours: at(edge - 1000),
    },
  ]

  it.each(sides)('is stored once when the other commits: $order', async ({ theirs, ours }) => {
    await moveClockOfGuard()
    const { store, hostId } = await open()
    const alert = newAlert(hostId)
    await store.insertAlerts([theirs, ours].map(receivedAt => newAlert(hostId, { receivedAt })))
    const other = await openTransaction()
    await insertBySql(other, alert, theirs)
    const inserting = store.insertAlerts([{ ...alert, receivedAt: ours }])
    await waitForWaiters(database, 1)
    await other.query('COMMIT')
    expect(outcomesOf(await inserting)).toEqual(['duplicate'])
    await expectStoredOnce(database, [alert])
  })

  it.each(sides)('is stored once when the other rolls back: $order', async ({ theirs, ours }) => {
    await moveClockOfGuard()
    const { store, hostId } = await open()
    const alert = newAlert(hostId)
    await store.insertAlerts([theirs, ours].map(receivedAt => newAlert(hostId, { receivedAt })))
    const other = await openTransaction()
    await insertBySql(other, alert, theirs)
    const inserting = store.insertAlerts([{ ...alert, receivedAt: ours }])
    await waitForWaiters(database, 1)
    await other.query('ROLLBACK')
    expect(outcomesOf(await inserting)).toEqual(['stored'])
    await expectStoredOnce(database, [alert])
  })
})

describe('F05: one id for two contents', () => {
  it('in one batch: the one that was handed in first is stored, whatever its place in the sort', async () => {
    const { store, hostId } = await open()
    const alerts = newAlerts(400, hostId, { ruleName: 'first' })
    const others = alerts.map(alert => ({ ...alert, ruleName: 'second' }))
    const receipts = await store.insertAlerts([...alerts, ...others])
    expect(outcomesOf(receipts)).toEqual([...alerts.map(() => 'stored'), ...others.map(() => 'rejected')])
    for (const { error } of receipts.slice(400)) expect(error).toMatchObject({ code: 'ALERT_CONFLICT' })
    const rows = await database.sql(
      `SELECT rule_name, count(*)::int AS count FROM alerts WHERE host_id = '${hostId}' GROUP BY rule_name`,
    )
    expect(rows).toEqual([{ rule_name: 'first', count: 400 }])
  })

  it("over a month's edge: the first content stays, the other is a dead letter", async () => {
    const { store, hostId } = await open()
    const edge = Date.UTC(2012, 6)
    const alert = newAlert(hostId, { receivedAt: at(edge - 1) })
    await store.insertAlerts([alert])
    const other = { ...alert, ruleName: 'other', receivedAt: at(edge + DAY_MS) }
    expect(await store.insertAlerts([other])).toMatchObject([
      { outcome: 'rejected', error: { code: 'ALERT_CONFLICT' } },
    ])
    await expectStoredOnce(database, [alert])
  })

  it('by two stores at once: one content is stored, and the other is a dead letter', async () => {
    const first = await open()
    const second = await open()
    const alerts = newAlerts(300, first.hostId, { ruleName: 'first' })
    const others = alerts.map(alert => ({ ...alert, ruleName: 'second' })).toReversed()
    const answers = await Promise.all([first.store.insertAlerts(alerts), second.store.insertAlerts(others)])
    const outcomes = answers.flatMap(outcomesOf)
    expect(outcomes.filter(outcome => outcome === 'stored')).toHaveLength(300)
    expect(outcomes.filter(outcome => outcome === 'rejected')).toHaveLength(300)
    await expectStoredOnce(database, alerts)
  })
})

describe('F09: a batch that loses', () => {
  it('a deadlock against another session is tried again, and stored once', async () => {
    const { store, hostId } = await open()
    const [low, high] = newAlerts(2, hostId).toSorted((a, b) => (a.alertId < b.alertId ? -1 : 1))
    if (!low || !high) throw new Error('expected two alerts')
    const receivedAt = momentInFreshMonth()
    await store.insertAlerts([newAlert(hostId, { receivedAt })])
    const other = await openTransaction()
    await insertBySql(other, high, receivedAt)
    const inserting = store.insertAlerts([low, high].map(alert => ({ ...alert, receivedAt })))
    await waitForWaiters(database, 1)
    // Whose deadlock it becomes is for the server to say: that of the store, which has waited for longer.
    const crossing = insertBySql(other, low, receivedAt).then(
      () => other.query('COMMIT'),
      () => other.query('ROLLBACK'),
    )
    const receipts = await inserting
    await crossing
    expect(outcomesOf(receipts)).toEqual(receipts.map(() => expect.stringMatching(/^(stored|duplicate)$/)))
    await expectStoredOnce(database, [low, high])
  })

  it.each(['40001', '40P01', '55P03', '53200'])(
    '%s three times is tried again, and stored once',
    async state => {
      const { store, hostId } = await open()
      await store.insertAlerts([newAlert(hostId)])
      await database.sql(`
      CREATE SEQUENCE refusals;
      CREATE FUNCTION refuse_three() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        IF nextval('public.refusals') <= 3 THEN RAISE EXCEPTION 'refused' USING ERRCODE = '${state}'; END IF;
        RETURN NULL;
      END $$;
      GRANT ALL ON SEQUENCE refusals TO PUBLIC;
      CREATE TRIGGER refuse_three BEFORE INSERT ON alerts FOR EACH STATEMENT EXECUTE FUNCTION refuse_three()`)
      try {
        const alerts = newAlerts(10, hostId)
        expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
        await expectStoredOnce(database, alerts)
        expect(store.events).toEqual([])
      } finally {
        await database.sql(
          'DROP TRIGGER refuse_three ON alerts; DROP FUNCTION refuse_three; DROP SEQUENCE refusals',
        )
      }
    },
  )
})

describe('F01: the first alerts of a month', () => {
  it.each(['Pacific/Kiritimati', 'America/Los_Angeles'])(
    'are stored once on both sides of its edge, with the session in %s',
    async zone => {
      await database.alter(`SET TimeZone = '${zone}'`)
      try {
        const { store, hostId } = await open()
        const edge = Date.UTC(zone.startsWith('P') ? 2015 : 2016, 3)
        const alerts = [-1, 0, -DAY_MS / 2, DAY_MS / 2].map(offset =>
          newAlert(hostId, { receivedAt: at(edge + offset) }),
        )
        expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'stored'))
        expect(outcomesOf(await store.insertAlerts(alerts))).toEqual(alerts.map(() => 'duplicate'))
        await expectStoredOnce(database, alerts)
        const rows = await database.sql(
          `SELECT tableoid::regclass::text AS month, count(*)::int AS count FROM alerts WHERE host_id = '${hostId}' GROUP BY 1 ORDER BY 1`,
        )
        expect(rows.map(row => [String(row['month']).slice(-3), row['count']])).toEqual([
          ['m03', 2],
          ['m04', 2],
        ])
      } finally {
        await database.alter('RESET TimeZone')
      }
    },
  )

  it('by eight stores at once, over the edge of a month, are stored once', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, open))
    const [first] = stores
    if (!first) throw new Error('expected stores')
    const edge = Date.UTC(2017, 8)
    const alerts = Array.from({ length: 200 }, (_, index) =>
      newAlert(first.hostId, { receivedAt: at(edge + (index - 100) * 1000) }),
    )
    const answers = await Promise.all(stores.map(({ store }) => store.insertAlerts(alerts)))
    expect(answers.flatMap(outcomesOf).filter(outcome => outcome === 'stored')).toHaveLength(200)
    await expectStoredOnce(database, alerts)
  })
})
