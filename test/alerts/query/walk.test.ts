/** From the newest of a million alerts to the oldest, and back, while others arrive. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlertPage, AlertQuery, Store } from '../../../src/index.ts'
import { newAlerts, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage, PLAN_MODES } from './explain-page.ts'
import { fillMonths, hostOf, MONTHS } from './many-alerts.ts'

const database = useTestDatabase()
const PER_MONTH = 333_334
const COUNT = PER_MONTH * MONTHS.length
const PAGE = 4000
/** The months that were filled, so that all pages lie in rows of the same kind. */
const SPAN = { from: `${MONTHS[0]}T00:00:00Z`, to: '2026-01-01T00:00:00Z' } as const
let store: Store
let client: pg.Client
let writerHost: string

beforeAll(async () => {
  await fillMonths(database, PER_MONTH)
  store = await openStore(database)
  writerHost = await newHost(store)
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
}, 180_000)
afterAll(async () => {
  await store.close()
  await client.end()
})

/** Writes now, and into the months that are being read, until it is stopped. */
function startWriter(): { readonly written: () => number; stop(): Promise<void> } {
  let isStopped = false
  let written = 0
  const run = async () => {
    while (!isStopped) {
      const receivedAt = `2025-${10 + (written % 3)}-${10 + (written % 17)}T12:34:56.789Z`
      const receipts = await store.insertAlerts([
        ...newAlerts(5, writerHost, { receivedAt }),
        ...newAlerts(5, writerHost),
      ])
      expect(receipts.every(receipt => receipt.outcome === 'stored')).toBe(true)
      written += receipts.length
    }
  }
  const running = run()
  return {
    written: () => written,
    stop: async () => {
      isStopped = true
      await running
    },
  }
}

describe('F40: a walk while alerts arrive', () => {
  it.each(['newest', 'oldest'] as const)(
    '%s first gives each alert once, in order',
    async order => {
      const writer = startWriter()
      // Each comes behind the one before, so none comes twice.
      let seen = 0
      let last = ''
      let cursor: string | null = null
      do {
        const page: AlertPage = await store.queryAlerts({
          order,
          limit: PAGE,
          cursor,
        })
        for (const { alertId, hostId, receivedAt } of page.alerts) {
          const key = `${receivedAt} ${alertId}`
          const isBehind = last === '' || (order === 'newest' ? key < last : key > last)
          if (!isBehind) expect.fail(`${key} comes after ${last}`)
          last = key
          if (hostId !== writerHost) seen++
        }
        cursor = page.nextCursor
        // New alerts may go on coming at the end.
      } while (cursor !== null && seen < COUNT)
      expect(seen).toBe(COUNT)
      expect(writer.written()).toBeGreaterThan(100)
      await writer.stop()
    },
    120_000,
  )

  it('goes past 10,000 alerts of one filter', async () => {
    const query = { severity: 'WARN', ...SPAN, limit: 7000 } as const
    let found = 0
    let cursor: string | null = null
    do {
      const page: AlertPage = await store.queryAlerts({ ...query, cursor })
      found += page.alerts.length
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(found).toBeGreaterThan(20_000)
    expect(found).toBe(await countAlerts(`severity = 'WARN'`))
  })
})

const HOST = hostOf(7)
const THREE_HOSTS = [hostOf(7), hostOf(8), hostOf(9)]

describe('the last page', () => {
  const filters: readonly (readonly [name: string, query: AlertQuery, sql: string])[] = [
    ['of all alerts', {}, 'true'],
    ['of a severity', { severity: 'WARN' }, `severity = 'WARN'`],
    ['of a host', { hostId: HOST }, `host_id = '${HOST}'`],
    ['of three hosts', { hostId: THREE_HOSTS }, `host_id = ANY ('{${THREE_HOSTS}}')`],
    ['of a rule', { ruleName: 'rule-3' }, `rule_name = 'rule-3'`],
  ]
  it.each(filters)(
    '%s reads as many buffers as the first',
    async (name, filter, sql) => {
      await database.sql('VACUUM (ANALYZE) alerts')
      const count = await countAlerts(sql)
      for (const order of ['newest', 'oldest'] as const) {
        const query = { ...filter, ...SPAN, order, limit: 100 }
        const cursor = await cursorAt(query, count - 101)
        for (const mode of PLAN_MODES) {
          const first = await explainPage(client, query, mode)
          const last = await explainPage(client, { ...query, cursor }, mode)
          expect({ order, mode, rows: last.rows }).toEqual({ order, mode, rows: 101 })
          // Rows share pages by chance. For a list the planner chooses again where few are left.
          const most = first.buffers * (name === 'of three hosts' ? 2 : 1.1) + 16
          expect(last.buffers).toBeLessThanOrEqual(most)
        }
      }
    },
    60_000,
  )

  it('after a hundred thousand alerts of one moment reads as many as the first', async () => {
    const moment = '2025-12-31T12:00:00Z'
    await client.query('SET session_replication_role = replica')
    await client.query(`
      INSERT INTO alerts
      SELECT gen_random_uuid(), '${HOST}', '${moment}', 'FILE', 'rule-3', NULL, 'INFO', '${moment}'
      FROM generate_series(1, 100000)`)
    await client.query('VACUUM (ANALYZE) alerts_y2025m12')
    for (const filter of [{}, { hostId: HOST }, { ruleName: 'rule-3' }]) {
      for (const order of ['newest', 'oldest'] as const) {
        const query = { ...filter, from: moment, to: SPAN.to, order, limit: 100 }
        const first = await explainPage(client, query)
        const last = await explainPage(client, { ...query, cursor: await cursorAt(query, 100_000 - 101) })
        expect({ order, rows: last.rows }).toEqual({ order, rows: 101 })
        expect(last.buffers).toBeLessThanOrEqual(Math.ceil(first.buffers * 1.1) + 4)
      }
    }
  }, 60_000)
})

/** Of the months that were filled. */
async function countAlerts(condition: string): Promise<number> {
  const [row] = await database.sql(`
    SELECT count(*)::int AS count
    FROM alerts
    WHERE ${condition} AND received_at >= '${SPAN.from}' AND received_at < '${SPAN.to}'`)
  return Number(row?.['count'])
}

/** The cursor behind so many alerts. */
async function cursorAt(query: AlertQuery, alerts: number): Promise<string> {
  const { nextCursor } = await store.queryAlerts({ ...query, offset: alerts - 1, limit: 1 })
  if (nextCursor === null) throw new Error(`there are no more than ${alerts} alerts`)
  return nextCursor
}
