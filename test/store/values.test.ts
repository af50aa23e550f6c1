import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GENESIS_HASH, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newAlert, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()

const MOMENTS = [
  ['2026-02-10T23:59:59.999999Z', '2026-02-10T23:59:59.999999Z'],
  ['2026-02-10T00:00:00.000001+05:30', '2026-02-09T18:30:00.000001Z'],
  ['2026-03-29T02:30:00.123456+01:00', '2026-03-29T01:30:00.123456Z'],
  ['0001-01-01T00:00:00.000001Z', '0001-01-01T00:00:00.000001Z'],
  ['1883-11-18T17:00:00.654321Z', '1883-11-18T17:00:00.654321Z'],
  ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
] as const

describe.each([
  ['UTC', 'ISO, MDY'],
  ['Asia/Kolkata', 'SQL, DMY'],
  ['America/New_York', 'Postgres, MDY'],
  ['Europe/Berlin', 'German, DMY'],
  ['Pacific/Apia', 'ISO, YMD'],
])('in a database with TimeZone %s and DateStyle %s', (timeZone, dateStyle) => {
  let store: Store
  let hostId: string
  beforeAll(async () => {
    await database.alter(`SET TimeZone = '${timeZone}'`, `SET DateStyle = '${dateStyle}'`)
    store = await openStore(database)
    hostId = await newHost(store)
  })
  afterAll(async () => {
    await store.close()
    await database.alter('RESET ALL')
  })

  it('a host keeps the microseconds of lastSeen', async () => {
    for (const [given, expected] of MOMENTS) {
      const id = await store.upsertHost({ hostname: `seen-${randomUUID()}`, lastSeen: given })
      expect((await store.getHost(id))?.lastSeen).toBe(expected)
    }
  })

  it('an alert keeps the microseconds of timestamp and receivedAt', async () => {
    const receivedAt = '2026-02-10T00:00:00.000001Z'
    const alerts = MOMENTS.map(([timestamp], index) =>
      newAlert(hostId, {
        timestamp,
        receivedAt,
        alertId: `${String(index).padStart(8, '0')}${randomUUID().slice(8)}`,
      }),
    )
    await store.insertAlerts(alerts)
    const page = await store.queryAlerts({ from: receivedAt, to: '2026-02-10T00:00:00.000002Z', hostId })
    expect(page.alerts.toReversed().map(alert => [alert.timestamp, alert.receivedAt])).toEqual(
      MOMENTS.map(([, expected]) => [expected, receivedAt]),
    )
  })

  it('an audit entry keeps the microseconds of createdAt', async () => {
    // The audit log takes no entry from the future.
    const past = MOMENTS.filter(([, expected]) => Date.parse(expected) < Date.now())
    expect(past.length).toBeGreaterThan(3)
    for (const [index, [createdAt, expected]] of past.entries()) {
      const inserted = await store.insertAuditEntry({
        hostId,
        sequenceNum: index + 1,
        eventHash: 'a'.repeat(64),
        prevHash: index === 0 ? GENESIS_HASH : 'a'.repeat(64),
        payload: {},
        createdAt,
      })
      expect(inserted.createdAt).toBe(expected)
      const found = await store.queryAuditEntries({ hostId, from: createdAt })
      expect(found.map(entry => entry.createdAt)).toContain(expected)
    }
  })
})

describe('an IP address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7/32', '192.0.2.7'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3/8', '10.1.2.3/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['::', '::'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
  ])('%s comes back as %s', async (given, expected) => {
    await using store = await openStore(database)
    const hostId = await store.upsertHost({ hostname: `ip-${given}`, ipAddress: given })
    expect((await store.getHost(hostId))?.ipAddress).toBe(expected)
  })
})
