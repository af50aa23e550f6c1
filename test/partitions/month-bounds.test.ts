import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
let client: pg.Client

beforeAll(async () => {
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
})
afterAll(() => client.end())

const BOUNDS = `
  SELECT
    given.moment,
    bounds.partition_name AS name,
    extract(epoch FROM bounds.range_from)::bigint AS "fromSeconds",
    extract(epoch FROM bounds.range_to)::bigint AS "toSeconds"
  FROM unnest($1::text[]) WITH ORDINALITY AS given (moment, position)
  CROSS JOIN LATERAL alert_month_bounds(given.moment::timestamptz) AS bounds
  ORDER BY given.position`

interface Bounds {
  readonly name: string
  readonly fromSeconds: string
  readonly toSeconds: string
}

async function boundsOf(moments: readonly string[]): Promise<readonly Bounds[]> {
  const { rows } = await client.query<Bounds>(BOUNDS, [moments])
  return rows
}

/** The same by the calendar of JavaScript, which knows UTC only. */
function expectedBounds(moment: string): Bounds {
  const date = new Date(moment)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
  return {
    name: `alerts_y${String(year).padStart(4, '0')}m${String(month + 1).padStart(2, '0')}`,
    fromSeconds: String(Date.UTC(year, month) / 1000),
    toSeconds: String(Date.UTC(year, month + 1) / 1000),
  }
}

/** Both sides of the edge of every month over leap years, centuries and years without a leap day. */
function edges(): readonly string[] {
  const years = [2000, 2001, 2004, 2024, 2025, 2026, 2027, 2028, 2099, 2100, 2101, 2400]
  return years.flatMap(year =>
    Array.from({ length: 12 }, (_, month) => Date.UTC(year, month)).flatMap(edge => [
      new Date(edge - 1).toISOString(),
      new Date(edge).toISOString(),
    ]),
  )
}

describe('F24: the bounds of a month', () => {
  it("are UTC's, in every time zone of the session, at every edge", async () => {
    const moments = edges()
    const expected = moments.map(expectedBounds)
    const { rows: zones } = await client.query<{ name: string }>('SELECT name FROM pg_timezone_names')
    expect(zones.length).toBeGreaterThan(400)
    for (const { name } of zones) {
      await client.query(`SELECT set_config('TimeZone', $1, false)`, [name])
      expect((await boundsOf(moments)).map(pick), name).toEqual(expected)
    }
    await client.query('RESET TimeZone')
  })

  it('hold the moment, and follow each other without hole or overlap', async () => {
    const moment = fc.date({ min: new Date('2000-01-01'), max: new Date('2399-12-31'), noInvalidDate: true })
    await fc.assert(
      fc.asyncProperty(fc.array(moment, { minLength: 1, maxLength: 50 }), async dates => {
        const moments = dates.map(date => date.toISOString())
        const found = await boundsOf(moments)
        const next = await boundsOf(found.map(each => new Date(Number(each.toSeconds) * 1000).toISOString()))
        found.forEach((bounds, index) => {
          const seconds = Math.floor(Date.parse(moments[index] ?? '') / 1000)
          expect(Number(bounds.fromSeconds)).toBeLessThanOrEqual(seconds)
          expect(Number(bounds.toSeconds)).toBeGreaterThan(seconds)
          expect(next[index]?.fromSeconds).toBe(bounds.toSeconds)
        })
      }),
    )
  })
})

describe('F24: a partition', () => {
  it('is made with the bounds of UTC in every time zone of the session', async () => {
    const { rows: zones } = await client.query<{ name: string }>(
      `SELECT min(name) AS name FROM pg_timezone_names GROUP BY utc_offset, is_dst ORDER BY 1`,
    )
    expect(zones.length).toBeGreaterThan(25)
    for (const { name } of zones) {
      await client.query('BEGIN')
      await client.query(`SELECT set_config('TimeZone', $1, true)`, [name])
      await client.query(`SELECT ensure_alert_partition('2024-02-29T23:59:59.999999Z')`)
      await client.query(`SET LOCAL TimeZone = 'UTC'`)
      const { rows } = await client.query<{ bounds: string }>(
        `SELECT pg_get_expr(relpartbound, oid) AS bounds FROM pg_class WHERE relname = 'alerts_y2024m02'`,
      )
      expect(rows[0]?.bounds, name).toBe(
        `FOR VALUES FROM ('2024-02-01 00:00:00+00') TO ('2024-03-01 00:00:00+00')`,
      )
      await client.query('ROLLBACK')
    }
  })
})

function pick({ name, fromSeconds, toSeconds }: Bounds): Bounds {
  return { name, fromSeconds, toSeconds }
}
