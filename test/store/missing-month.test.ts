import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore } from './fixtures.ts'
import { waitForWaiters } from './lock-alerts.ts'

const database = useTestDatabase()

async function partitions(): Promise<readonly string[]> {
  const rows = await database.sql(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'alerts'::regclass ORDER BY name`,
  )
  return rows.map(row => String(row['name']))
}

describe('F01: a month without a partition', () => {
  it('is made on demand, and the alerts are stored once', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const receipts = await store.insertAlerts([
      newAlert(hostId, { receivedAt: '2025-12-31T23:59:59.999999Z' }),
      newAlert(hostId, { receivedAt: '2026-01-01T00:00:00Z' }),
      newAlert(hostId, { receivedAt: '2026-02-01T00:00:00Z' }),
    ])
    expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'stored', 'stored'])
    const rows = await database.sql(
      `SELECT tableoid::regclass::text AS name FROM alerts WHERE host_id = '${hostId}' ORDER BY received_at`,
    )
    expect(rows.map(row => row['name'])).toEqual(['alerts_y2025m12', 'alerts_y2026m01', 'alerts_y2026m02'])
  })

  it('is made once by eight writers at once', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        store.insertAlerts(newAlerts(20, hostId, { receivedAt: '2025-06-15T00:00:00Z' })),
      ),
    )
    expect(answers.flat().filter(receipt => receipt.outcome !== 'stored')).toEqual([])
    expect(await countAlerts(database, hostId)).toBe(160)
    expect((await partitions()).filter(name => name === 'alerts_y2025m06')).toHaveLength(1)
  })

  it('is made once when a second session waits for the first one to make it', async () => {
    const first = new pg.Client({ connectionString: database.directConnectionString })
    await first.connect()
    try {
      await first.query('BEGIN')
      await first.query(`SELECT ensure_alert_partition('2025-08-15T00:00:00Z')`)
      const second = database
        .sql(`SELECT ensure_alert_partition('2025-08-15T00:00:00Z') AS made`)
        .catch((error: Error) => error.message)
      await waitForWaiters(database, 1)
      await first.query('COMMIT')
      expect(await second).toEqual([{ made: null }])
    } finally {
      await first.end()
    }
  })

  it('is made for alerts without a time of their own, which get that of the server', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    await store.batchInsertAlerts(newAlert(hostId))
    await store.flush()
    const rows = await database.sql(
      `SELECT tableoid::regclass::text = to_char(now() AT TIME ZONE 'UTC', '"alerts_y"YYYY"m"MM') AS fits FROM alerts WHERE host_id = '${hostId}'`,
    )
    expect(rows).toEqual([{ fits: true }])
  })

  it.each([
    ['Asia/Kolkata', 'ISO, MDY', '2010-03', '2010-04'],
    ['Pacific/Auckland', 'ISO, DMY', '2011-04', '2011-05'],
    ['America/St_Johns', 'Postgres, DMY', '2012-05', '2012-06'],
    ['Asia/Kolkata', 'SQL, DMY', '2013-07', '2013-08'],
    ['Asia/Kolkata', 'Postgres, MDY', '2014-08', '2014-09'],
    ['Asia/Shanghai', 'SQL, MDY', '2015-09', '2015-10'],
    ['Europe/Berlin', 'German, DMY', '2016-10', '2016-11'],
  ])('begins and ends in UTC with TimeZone %s and DateStyle %s', async (timeZone, dateStyle, month, next) => {
    await database.alter(`SET TimeZone = '${timeZone}'`, `SET DateStyle = '${dateStyle}'`)
    try {
      await using store = await openStore(database)
      const hostId = await newHost(store)
      const receipts = await store.insertAlerts([
        newAlert(hostId, { receivedAt: `${month}-01T00:00:00Z` }),
        newAlert(hostId, { receivedAt: `${next}-01T00:00:00Z` }),
      ])
      expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'stored'])
    } finally {
      await database.alter('RESET ALL')
    }
    const rows = await database.sql(
      `SELECT pg_get_expr(relpartbound, oid) AS bounds FROM pg_class WHERE relname = 'alerts_y${month.replace('-', 'm')}'`,
    )
    expect(utcBounds(String(rows[0]?.['bounds']))).toEqual([
      `${month}-01T00:00:00.000Z`,
      `${next}-01T00:00:00.000Z`,
    ])
  })
})

function utcBounds(expression: string): readonly string[] {
  const moments = expression.match(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d(?::\d\d)?/g) ?? []
  return moments.map(moment => new Date(moment.replace(/([+-]\d\d)$/, '$1:00')).toISOString())
}
