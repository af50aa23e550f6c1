/** Writers and maintainers that really run at once, and a reader who compares all the while. */
import type { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { useTestDatabase } from '../../support/test-database.ts'
import {
  COUNTED_HOSTS,
  closedHours,
  connectTo,
  countsAndRows,
  HOURS,
  lowerMark,
  PARTITION,
  rollUpAll,
  rollUpStep,
  useCountedHours,
} from './counted-hours.ts'

const database = useTestDatabase()
useCountedHours(database)

const ISOLATION_LEVELS = ['READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const
const TRANSACTIONS_A_WRITER = 120
const SERIALIZATION_FAILURE = '40001'

const clients: Client[] = []
beforeAll(async () => {
  while (clients.length < COUNTED_HOSTS.length + 4) clients.push(await connectTo(database))
})
afterAll(async () => {
  await Promise.all(clients.map(client => client.end()))
})

function pick<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)]
  if (one === undefined) throw new Error('there is nothing to pick from')
  return one
}

function randomStatement(host: string): string {
  const table = pick(['alerts', PARTITION])
  const some = `SELECT alert_id FROM ${table} WHERE host_id = '${host}' LIMIT ${1 + Math.floor(Math.random() * 5)}`
  return pick([
    `INSERT INTO ${table} (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
     SELECT '${host}', now(), 'FILE', 'rule ' || n, 'INFO', '${pick(HOURS)}'::timestamptz + n * INTERVAL '1 minute'
     FROM generate_series(1, ${1 + Math.floor(Math.random() * 20)}) AS n`,
    `UPDATE ${table} SET severity = 'WARN', received_at = '${pick(HOURS)}' WHERE alert_id IN (${some})`,
    `DELETE FROM ${table} WHERE alert_id IN (${some})`,
    'SELECT pg_sleep(0.005)',
    'SAVEPOINT here',
  ])
}

async function write(client: Client, host: string): Promise<void> {
  for (let count = 0; count < TRANSACTIONS_A_WRITER; count++) {
    try {
      await client.query(`BEGIN ISOLATION LEVEL ${pick(ISOLATION_LEVELS)}; SELECT FROM hosts`)
      for (let step = 0; step < 4; step++) await client.query(randomStatement(host))
      await client.query(pick(['COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK']))
    } catch (error) {
      expect(error).toMatchObject({ code: SERIALIZATION_FAILURE })
      await client.query('ROLLBACK')
    }
  }
}

it('counts are those of the rows in every snapshot', async () => {
  const [reader, lowerer, ...rest] = clients
  const rollers = rest.splice(0, 2)
  if (!reader || !lowerer) throw new Error('there are no clients')
  let isWritten = false
  let compared = 0
  let comparedClosed = 0
  const whileWritten = async (work: () => Promise<unknown>) => {
    while (!isWritten) await work()
  }
  const all = Promise.all([
    ...rollers.map(client => whileWritten(() => rollUpStep(client, 3))),
    whileWritten(async () => {
      await lowerMark(lowerer, pick(HOURS))
      await lowerer.query('SELECT pg_sleep(0.1)')
    }),
    whileWritten(async () => {
      const { counts, rows } = await countsAndRows(reader, ['ruleName'])
      expect(counts).toEqual(rows)
      compared++
      if ((await closedHours(reader)).length > 0) comparedClosed++
    }),
  ])
  try {
    await Promise.all(COUNTED_HOSTS.map((host, index) => write(rest[index] ?? reader, host)))
  } finally {
    isWritten = true
    await all
  }
  expect(compared).toBeGreaterThan(20)
  expect(comparedClosed).toBeGreaterThan(5)
  for (const client of rollers) await rollUpAll(client)
  expect(await closedHours(reader)).toHaveLength(HOURS.length)
  const { counts, rows } = await countsAndRows(reader)
  expect(counts).toEqual(rows)
}, 120_000)
