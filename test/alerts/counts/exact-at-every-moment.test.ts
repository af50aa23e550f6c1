/** Writers of every kind beside the steps of counting: after each step, and when one is taken in the midst of a question, the counts are those of the rows. */
import fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../../support/test-database.ts'
import {
  attach,
  COUNTED_HOSTS,
  closedHours,
  connectTo,
  countsAndRows,
  detach,
  HOURS,
  lowerMark,
  OTHER_PARTITION,
  PARTITION,
  rollUpAll,
  rollUpStep,
  useCountedHours,
} from './counted-hours.ts'

const database = useTestDatabase()
useCountedHours(database)

const ISOLATION_LEVELS = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const

type Writing = {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly writer: number
  readonly hour: number
  readonly rows: number
  readonly table: string
}

type Step =
  | { readonly kind: 'begin'; readonly writer: number; readonly isolation: (typeof ISOLATION_LEVELS)[number] }
  | Writing
  | { readonly kind: 'savepoint' | 'back' | 'commit' | 'rollback'; readonly writer: number }
  | { readonly kind: 'roll'; readonly hours: number; readonly times: number }
  | { readonly kind: 'hold' | 'let go' | 'break off' }
  | { readonly kind: 'exchange' | 'attach again' | 'truncate' }
  | { readonly kind: 'lower'; readonly hour: number }

const writer = fc.nat({ max: COUNTED_HOSTS.length - 1 })
const hour = fc.nat({ max: HOURS.length - 1 })
const table = fc.constantFrom('alerts', 'alerts', PARTITION, OTHER_PARTITION)
const rows = fc.integer({ min: 1, max: 4 })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      writer,
      isolation: fc.constantFrom(...ISOLATION_LEVELS),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('insert' as const, 'insert' as const, 'update' as const, 'delete' as const),
      writer,
      hour,
      rows,
      table,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), writer }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('savepoint' as const, 'back' as const, 'rollback' as const),
      writer,
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('roll' as const),
      hours: fc.integer({ min: 3, max: 6 }),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'let go' as const, 'break off' as const) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('exchange' as const, 'attach again' as const, 'truncate' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('lower' as const), hour }) },
)

/** Before a question, or after it has asked for the partitions and before it counts. */
const timedStep = fc.record({ given: step, isAmidst: fc.boolean() })

let reader: Client
let roller: Client
let holder: Client
let writers: readonly Client[]
/** Which one is attached. */
let attached = PARTITION

beforeAll(async () => {
  reader = await connectTo(database)
  roller = await connectTo(database)
  holder = await connectTo(database)
  writers = await Promise.all(COUNTED_HOSTS.map(() => connectTo(database)))
  // The steps are taken one after the other, so whoever waits for a lock waits for ever.
  for (const client of [roller, holder, ...writers]) await client.query(`SET lock_timeout = '10ms'`)
})

afterAll(async () => {
  await Promise.all([reader, roller, holder, ...writers].map(client => client.end()))
})

/** What a step cannot do it does not do: a transaction that failed is rolled back. */
async function attempt(client: Client, sql: string): Promise<void> {
  await client.query(sql).catch(() => client.query('ROLLBACK'))
}

function writeSql(given: Writing): string {
  const host = COUNTED_HOSTS[given.writer]
  const mine = `SELECT alert_id FROM ${given.table} WHERE host_id = '${host}' ORDER BY alert_id LIMIT ${given.rows}`
  if (given.kind === 'delete') return `DELETE FROM ${given.table} WHERE alert_id IN (${mine})`
  if (given.kind === 'update') {
    return `UPDATE ${given.table} SET severity = 'CRITICAL', received_at = '${HOURS[given.hour]}', rule_name = rule_name || '!' WHERE alert_id IN (${mine})`
  }
  return `
    INSERT INTO ${given.table} (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
    SELECT '${host}', now(), (ARRAY['FILE', 'NETWORK'])[1 + n % 2]::tripwire_type, 'rule ' || n, (ARRAY['INFO', 'WARN'])[1 + n % 2]::severity_level,
      '${HOURS[given.hour]}'::timestamptz + n * INTERVAL '15 minutes' - INTERVAL '1 microsecond'
    FROM generate_series(1, ${given.rows}) AS n`
}

async function take(given: Step): Promise<void> {
  switch (given.kind) {
    case 'roll':
      // Of those that a mark needs, each is a transaction of its own.
      for (let time = 0; time < given.times; time++) await rollUpStep(roller, given.hours)
      return
    case 'hold':
      return void (await holder.query('COMMIT; BEGIN').then(() => rollUpStep(holder, 2)))
    case 'let go':
      return void (await holder.query('COMMIT'))
    case 'break off':
      return void (await holder.query('ROLLBACK'))
    case 'lower':
      return void (await lowerMark(roller, HOURS[given.hour] ?? '').catch(() => roller.query('ROLLBACK')))
    case 'exchange':
      return attachInstead(attached === PARTITION ? OTHER_PARTITION : PARTITION)
    case 'attach again':
      return attachInstead(attached)
    case 'truncate':
      return attempt(roller, `TRUNCATE ${attached}`)
    default:
      return takeAsWriter(given)
  }
}

/** With what was written to it while it was no partition. */
async function attachInstead(partition: string): Promise<void> {
  const sql = `BEGIN; ${detach(attached)}; ${attach(partition)}; COMMIT`
  const done = await roller.query(sql).catch(() => roller.query('ROLLBACK').then(() => null))
  if (done !== null) attached = partition
}

async function takeAsWriter(given: Extract<Step, { writer: number }>): Promise<void> {
  const client = writers[given.writer]
  if (!client) throw new Error(`there is no writer ${given.writer}`)
  switch (given.kind) {
    case 'begin':
      // With its snapshot, and without a transaction id until it writes.
      return attempt(client, `COMMIT; BEGIN ISOLATION LEVEL ${given.isolation}; SELECT FROM hosts`)
    case 'savepoint':
      return attempt(client, 'SAVEPOINT here')
    case 'back':
      return attempt(client, 'ROLLBACK TO SAVEPOINT here')
    case 'commit':
      return attempt(client, 'COMMIT')
    case 'rollback':
      return attempt(client, 'ROLLBACK')
    default:
      return attempt(client, writeSql(given))
  }
}

async function beginAnew(): Promise<void> {
  await Promise.all([roller, holder, ...writers].map(client => client.query('ROLLBACK')))
  await roller.query(
    `TRUNCATE alerts, ${PARTITION}, ${OTHER_PARTITION}, alert_hour_counts, rolled_alert_hours; UPDATE alert_count_state SET settled_through = '-infinity', marked_through = '-infinity', marked_by = NULL, wait_for = NULL`,
  )
}

describe('the counts of closed hours', () => {
  it('are those of the rows after every step of writers, maintainers and operators', async () => {
    let closedSometimes = 0
    await fc.assert(
      fc.asyncProperty(fc.array(timedStep, { minLength: 20, maxLength: 80 }), async steps => {
        await beginAnew()
        for (const { given, isAmidst } of steps) {
          if (!isAmidst) await take(given)
          const meanwhile = isAmidst ? () => take(given) : undefined
          const { counts, rows } = await countsAndRows(reader, ['ruleName'], meanwhile)
          expect(counts).toEqual(rows)
          if ((await closedHours(reader)).length > 0) closedSometimes++
        }
        // Of two that are SERIALIZABLE, one may fail here.
        await Promise.all([holder, ...writers].map(client => attempt(client, 'COMMIT')))
        await rollUpAll(roller)
        expect(await closedHours(reader)).toEqual(['10', '11', '12', '13', '14', '15'])
        const { counts, rows } = await countsAndRows(reader)
        expect(counts).toEqual(rows)
      }),
      { numRuns: 60, endOnFailure: true },
    )
    expect(closedSometimes).toBeGreaterThan(100)
  }, 300_000)
})
