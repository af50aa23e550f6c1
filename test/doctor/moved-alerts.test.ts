import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertHost } from '../partitions/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, makeHealthy, monthAhead, problemsOf } from './support.ts'

const database = useTestDatabase()
let hostId: string

beforeAll(async () => {
  await makeHealthy(database)
  hostId = await insertHost(database)
})
beforeEach(() => database.sql('DROP TABLE IF EXISTS rest; TRUNCATE alerts, alert_dead_letters'))

interface Written {
  readonly id?: string
  readonly rule?: string
  readonly table?: string
  readonly host?: string
}

/** An alert by another client, named by its rule. */
async function insert(receivedAt: string, given: Written = {}): Promise<string> {
  const { id = randomUUID(), rule = 'r', table = 'alerts', host = hostId } = given
  await database.sql(`
    INSERT INTO ${table} (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at)
    VALUES ('${id}', '${host}', '2026-01-01Z', 'FILE', '${rule}', 'INFO', ${receivedAt})`)
  return id
}

/** Which alerts queries see, by rule and day. */
const alerts = async () =>
  (
    await database.sql(
      `SELECT rule_name || ' ' || (received_at AT TIME ZONE 'UTC')::date AS alert FROM alerts ORDER BY 1`,
    )
  ).map(({ alert }) => alert)

const conflicts = async () =>
  (
    await database.sql(`
      SELECT reason || ' ' || (convert_from(alert_json, 'UTF8')::json ->> 'ruleName') AS letter
      FROM alert_dead_letters
      ORDER BY 1`)
  ).map(({ letter }) => letter)

/** Finds them, moves them, and finds nothing any more but the dead letters that come of it. */
async function expectMoved(expected: readonly string[], letters: readonly string[] = []): Promise<void> {
  const found = await examine(database)
  expect(problemsOf(found)).toEqual(expected)
  for (const mend of new Set(found.checks.flatMap(({ findings }) => findings.map(each => each.mend)))) {
    await carryOut(database, mend)
  }
  expect(await conflicts()).toEqual(letters)
  expect(problemsOf(await examine(database))).toEqual(
    letters.length === 0 ? [] : ['dead-letters: ALERT_CONFLICT'],
  )
}

const today = new Date().toISOString().slice(0, 10)

describe('alerts that stand in the DEFAULT partition', () => {
  beforeEach(() => database.sql('CREATE TABLE rest PARTITION OF alerts DEFAULT'))

  it('and stand in it twice, come into their months once, and what differs becomes a dead letter', async () => {
    const [same, other] = [randomUUID(), randomUUID()]
    for (const day of [3, 4]) await insert(`'2025-03-0${day}Z'`, { id: same, rule: 'same', table: 'rest' })
    await insert(`'2025-03-05Z'`, { id: other, rule: 'first', table: 'rest' })
    await insert(`'2025-05-05Z'`, { id: other, rule: 'changed', table: 'rest' })
    await expectMoved(['default-partition: rest'], ['ALERT_CONFLICT changed'])
    expect(await alerts()).toEqual(['first 2025-03-05', 'same 2025-03-03'])
    expect(await database.sql(`SELECT to_regclass('rest') AS rest`)).toEqual([{ rest: null }])
  })

  it('and in a month as well, also across its edge, come into it once', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const
    await database.sql(`SELECT ensure_alert_partition('2025-08-01Z')`)
    for (const [index, id] of ids.entries()) await insert(`'2025-08-02Z'`, { id, rule: `stored-${index}` })
    await insert(`'2025-07-30Z'`, { id: ids[0], rule: 'stored-0', table: 'rest' })
    await insert(`'2025-07-30Z'`, { id: ids[1], rule: 'changed', table: 'rest' })
    await insert(`'2025-05-30Z'`, { id: ids[2], rule: 'long ago', table: 'rest' })
    await expectMoved(['default-partition: rest'], ['ALERT_CONFLICT changed'])
    expect(await alerts()).toEqual([
      'long ago 2025-05-30',
      'stored-0 2025-08-02',
      'stored-1 2025-08-02',
      'stored-2 2025-08-02',
    ])
  })

  it('and are of a time for which no month is made, get the present one', async () => {
    const moments = [`'infinity'`, `'-infinity'`, `'1999-12-31Z'`, `now() + INTERVAL '400 days'`]
    for (const moment of moments) await insert(moment, { rule: 'odd', table: 'rest' })
    await expectMoved(['default-partition: rest', 'far-future: rest'])
    expect(await alerts()).toEqual(moments.map(() => `odd ${today}`))
  })

  it('keep the columns that an operator added', async () => {
    await database.sql(
      `ALTER TABLE alerts ADD note text, ADD length integer GENERATED ALWAYS AS (length(rule_name)) STORED`,
    )
    await insert(`'2023-01-03Z'`, { table: 'rest' })
    await insert(`now() + INTERVAL '400 days'`, { table: 'rest' })
    await database.sql(`UPDATE rest SET note = 'seen by Ada'`)
    await expectMoved(['default-partition: rest', 'far-future: rest'])
    expect(await database.sql('SELECT DISTINCT note FROM alerts')).toEqual([{ note: 'seen by Ada' }])
    await database.sql('ALTER TABLE alerts DROP note, DROP length')
  })

  it('stay where they are, and in queries, when one of them cannot be moved', async () => {
    await insert(`'2023-02-03Z'`, { table: 'rest' })
    await insert(`'2023-02-04Z'`, { table: 'rest', host: randomUUID(), rule: 'stranger' })
    const [before, found] = [await alerts(), await examine(database)]
    expect(problemsOf(found)).toEqual(['default-partition: rest'])
    const [{ mend } = { mend: '' }] = checkOf(found, 'default-partition').findings
    await expect(database.sql(mend)).rejects.toMatchObject({ code: '23503' })
    expect(await alerts()).toEqual(before)
    expect(problemsOf(await examine(database))).toEqual(['default-partition: rest'])
    await database.sql(`DELETE FROM rest WHERE rule_name = 'stranger'`)
    await expectMoved(['default-partition: rest'])
    expect(await alerts()).toEqual(['r 2023-02-03'])
  })

  it('are moved together with those of a partition that keeps their month from being made', async () => {
    await database.sql(`
      DROP TABLE IF EXISTS alerts_y2024m06;
      CREATE TABLE alerts_y2024m06 PARTITION OF alerts FOR VALUES FROM ('2024-06-01+02') TO ('2024-07-01+02')`)
    const id = await insert(`'2024-06-03Z'`, { rule: 'crooked' })
    await insert(`'2024-06-30 23:00Z'`, { rule: 'beyond', table: 'rest' })
    await insert(`'2024-06-30 23:00Z'`, { rule: 'changed', table: 'rest', id })
    await expectMoved(
      [
        'default-partition: rest',
        'incomplete-partition: alerts_y2024m06',
        'misaligned-partition: alerts_y2024m06',
      ],
      ['ALERT_CONFLICT changed'],
    )
    expect(await alerts()).toEqual(['beyond 2024-06-30', 'crooked 2024-06-03'])
  })

  it('are moved by a session that begins read-only, with another isolation and time zone', async () => {
    await insert(`'2023-03-31 23:30Z'`, { table: 'rest' })
    await insert(`'2023-04-30 23:30Z'`, { table: 'rest' })
    const [finding] = checkOf(await examine(database), 'default-partition').findings
    await database.sql(`
      SET default_transaction_read_only = on;
      SET default_transaction_isolation = 'serializable';
      SET TimeZone = 'America/Los_Angeles';
      SET DateStyle = 'German';
      ${finding?.mend}`)
    expect(await alerts()).toEqual(['r 2023-03-31', 'r 2023-04-30'])
    expect(problemsOf(await examine(database))).toEqual([])
  })
})

describe('table-set-aside', () => {
  it('finds what an earlier mend left half way, and takes it in', async () => {
    await database.sql(`
      SELECT ensure_alert_partition('2025-09-01Z');
      CREATE SCHEMA alerts_to_move;
      CREATE TABLE alerts_to_move."the rest" (LIKE alerts INCLUDING ALL);
      CREATE TABLE alerts_to_move.notes (id integer)`)
    const id = await insert(`'2025-09-03Z'`, { rule: 'stored' })
    await insert(`'2025-09-04Z'`, { rule: 'twice', table: 'alerts_to_move."the rest"', id })
    await insert(`'2025-04-04Z'`, { rule: 'left', table: 'alerts_to_move."the rest"' })
    await expectMoved(['table-set-aside: alerts_to_move.the rest'], ['ALERT_CONFLICT twice'])
    expect(await alerts()).toEqual(['left 2025-04-04', 'stored 2025-09-03'])
    await database.sql('DROP SCHEMA alerts_to_move CASCADE')
  })
})

it('a hole beside a partition with other bounds is mended by the same SQL', async () => {
  const { name, from } = monthAhead(3)
  await database.sql(`
    DROP TABLE ${name};
    CREATE TABLE ${name} PARTITION OF alerts
      FOR VALUES FROM ('${from}'::timestamptz + INTERVAL '1 day') TO ('${monthAhead(4).from}');
    SELECT complete_alert_partition('${name}')`)
  await expectMoved([`missing-month: ${monthAhead(3).month}`, `misaligned-partition: ${name}`])
})
