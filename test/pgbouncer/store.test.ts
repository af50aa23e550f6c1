import { randomUUID } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { GENESIS_HASH, RawJson, type Store } from '../../src/index.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { lockAlerts } from '../store/lock-alerts.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 3)
const { direct } = pooled
const CALLERS = 8

describeUnless(pgbouncerMissing(), 'F43: a store through PgBouncer', () => {
  afterEach(() => expectNothingLeft(pooled))

  it('stores what batches and lists of many callers of two stores hold, once each', async () => {
    await using one = await openStore(pooled.through, { batchSize: 7, flushIntervalMs: 1 })
    await using other = await openStore(pooled.through, { batchSize: 50, writerConnections: 4 })
    const hostId = await newHost(one)
    const given: string[] = []
    const addOneByOne = async (store: Store) => {
      for (const alert of newAlerts(40, hostId)) {
        given.push(alert.alertId)
        await store.batchInsertAlerts(alert)
      }
    }
    const addLists = async (store: Store) => {
      for (let round = 0; round < 4; round++) {
        const alerts = newAlerts(100, hostId)
        given.push(...alerts.map(({ alertId }) => alertId))
        const receipts = await store.insertAlerts(alerts)
        expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
      }
    }
    const callers = Array.from({ length: CALLERS }, (_, index) => (index % 2 === 0 ? one : other))
    const filling = callers.map(addOneByOne)
    await Promise.all(callers.map(addLists))
    // What does not fill a batch waits for a flush.
    await Promise.all([one.flush(), other.flush(), ...filling])
    await Promise.all([one.flush(), other.flush()])
    const rows = await direct.sql(`SELECT alert_id FROM alerts WHERE host_id = '${hostId}'`)
    expect(rows.map(row => String(row['alert_id'])).sort()).toEqual(given.sort())
  })

  it('recognises resends, and finds the one bad alert of a batch', async () => {
    await using store = await openStore(pooled.through)
    const hostId = await newHost(store)
    const alerts = newAlerts(20, hostId)
    await store.insertAlerts(alerts.slice(0, 10))
    const unreadable = newAlert(hostId, { eventDetail: RawJson.fromText('{"path": "a\\u0000b"}') })
    const receipts = await store.insertAlerts([...alerts, unreadable])
    expect(receipts.map(({ outcome }) => outcome)).toEqual([
      ...alerts.map((_, index) => (index < 10 ? 'duplicate' : 'stored')),
      'rejected',
    ])
    expect(await countAlerts(direct, hostId)).toBe(20)
    expect(await store.discardDeadLetters({ hostId })).toBe(1)
  })

  it('pages through its alerts, newest first', async () => {
    await using store = await openStore(pooled.through)
    const hostId = await newHost(store)
    const alerts = Array.from({ length: 45 }, (_, minute) =>
      newAlert(hostId, { receivedAt: `2026-03-31T23:${String(15 + minute).padStart(2, '0')}:00.000001Z` }),
    )
    await store.insertAlerts([...alerts, newAlert(hostId, { receivedAt: '2026-04-01T00:00:00Z' })])
    const query = { hostId, from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z' } as const
    const found: string[] = []
    for (let offset = 0; offset < 60; offset += 20) {
      const page = await store.queryAlerts({ ...query, limit: 20, offset })
      found.push(...page.alerts.map(({ alertId }) => alertId))
    }
    expect(found).toEqual(alerts.map(({ alertId }) => alertId).toReversed())
  })

  it('keeps hosts, rules and audit entries', async () => {
    await using store = await openStore(pooled.through)
    const hostname = `web-${randomUUID()}`
    const hostId = await store.upsertHost({ hostname, ipAddress: '192.0.2.7', status: 'ONLINE' })
    expect(await store.upsertHost({ hostname, status: 'DEGRADED' })).toBe(hostId)
    expect(await store.getHost(hostId)).toMatchObject({ hostname, ipAddress: null, status: 'DEGRADED' })
    expect((await store.listHosts()).map(host => host.hostId)).toContain(hostId)

    const { ruleId } = await store.createRule({ hostId, ruleType: 'FILE', target: '/etc/passwd' })
    const changed = {
      hostId,
      ruleType: 'NETWORK',
      target: ':4444',
      severity: 'CRITICAL',
      enabled: false,
    } as const
    expect(await store.updateRule({ ruleId, ...changed })).toMatchObject(changed)
    expect((await store.listRules(hostId)).map(rule => rule.ruleId)).toContain(ruleId)
    expect(await store.deleteRule(ruleId)).toBe(true)
    expect(await store.getRule(ruleId)).toBeNull()

    const eventHash = 'ab'.repeat(32)
    const payload = RawJson.fromText('{"n": 9007199254740993.10}')
    await store.insertAuditEntry({ hostId, sequenceNum: 1, prevHash: GENESIS_HASH, eventHash, payload })
    const [appended] = await store.appendAuditEntries(hostId, [payload])
    expect(appended).toMatchObject({ sequenceNum: 2, prevHash: eventHash })
    expect(await store.queryAuditEntries({ hostId })).toMatchObject([{ sequenceNum: 1, eventHash }, appended])
  })

  it('redrives its dead letters once their host is there, also when four ask at once', async () => {
    await using store = await openStore(pooled.through)
    const hostId = randomUUID()
    const alerts = newAlerts(200, hostId)
    const receipts = await store.insertAlerts(alerts)
    expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['rejected']))
    expect(await store.listDeadLetters({ hostId, limit: 1000 })).toHaveLength(200)
    await store.upsertHost({ hostId, hostname: `late-${hostId}` })
    const reports = await Promise.all(Array.from({ length: 4 }, () => store.redriveDeadLetters({ hostId })))
    expect(reports.reduce((sum, { stored }) => sum + stored, 0)).toBe(200)
    expect(await store.listDeadLetters({ hostId })).toEqual([])
    expect(await countAlerts(direct, hostId)).toBe(200)
  })

  it('stores a batch once although the server ended the connection under it', async () => {
    await using store = await openStore(pooled.through, { retryForMs: 20_000 })
    const hostId = await newHost(store)
    const alerts = newAlerts(50, hostId)
    await using lock = await lockAlerts(direct)
    const writing = store.insertAlerts(alerts)
    await lock.waitForWaiters(1)
    await direct.sql(`
      SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`)
    await lock.release()
    expect(new Set((await writing).map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
    expect(await countAlerts(direct, hostId)).toBe(50)
  })

  it('makes a missing month once when eight stores write into it at once', async () => {
    await using stores = new AsyncDisposableStack()
    const writers: Store[] = []
    for (let count = 0; count < CALLERS; count++) writers.push(stores.use(await openStore(pooled.through)))
    const [first] = writers
    if (first === undefined) throw new Error('expected a store')
    const hostId = await newHost(first)
    // All of them have begun before the first one can make the month.
    const lock = await lockAlerts(direct)
    const writing = writers.map(store =>
      store.insertAlerts(newAlerts(20, hostId, { receivedAt: '2025-06-15T00:00:00Z' })),
    )
    await lock.waitForWaiters(pooled.poolSize)
    await lock.release()
    const receipts = (await Promise.all(writing)).flat()
    expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
    expect(await countAlerts(direct, hostId)).toBe(20 * CALLERS)
    const months = await direct.sql(`SELECT FROM pg_inherits WHERE inhrelid = 'alerts_y2025m06'::regclass`)
    expect(months).toHaveLength(1)
  })
})
