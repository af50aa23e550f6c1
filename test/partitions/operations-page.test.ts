import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { diagnose } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { contentOf, insertAlerts, insertHost, makeMonthByHand, partitionNames } from './fixtures.ts'

const database = useTestDatabase()
const PAGE = readFileSync(new URL('../../docs/operations/partitions.md', import.meta.url), 'utf8')

/** The block of SQL on the page that has these words. */
function sqlBlock(words: string): string {
  const blocks = [...PAGE.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql = '']) => sql)
  const found = blocks.filter(sql => sql.includes(words))
  expect(found).toHaveLength(1)
  return found[0] ?? ''
}

it('the way out of a DEFAULT partition, which the page leaves to the doctor, keeps every row', async () => {
  const [, section = ''] = PAGE.split('## A DEFAULT partition\n')
  expect(section).toContain('`tripwire-storage doctor`')
  const hostId = await insertHost(database)
  await database.sql('CREATE TABLE alerts_default PARTITION OF alerts DEFAULT')
  await insertAlerts(database, '2024-03', hostId, 30)
  await insertAlerts(database, '2025-10', hostId, 20)
  const expected = await contentOf(database, 'alerts')
  const { checks } = await diagnose({ connectionString: database.connectionString })
  const [finding, ...more] = checks.flatMap(({ findings }) =>
    findings.filter(({ name }) => name === 'default-partition'),
  )
  expect(more).toEqual([])
  await database.sql(finding?.mend ?? '')
  expect(await contentOf(database, 'alerts')).toEqual(expected)
  const names = await partitionNames(database)
  expect(names).toEqual(expect.arrayContaining(['alerts_y2024m03', 'alerts_y2025m10', 'alerts_y2026m02']))
  expect(names).not.toContain('alerts_default')
})

it('the look for duplicates, as the page shows it, finds them', async () => {
  const hostId = await insertHost(database)
  await makeMonthByHand(database, '2023-03', 'by_hand')
  const alertId = randomUUID()
  for (const day of [1, 2]) {
    await database.sql(
      `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at) VALUES ('${alertId}', '${hostId}', now(), 'FILE', 'r', 'INFO', '2023-03-0${day}Z')`,
    )
  }
  expect(await database.sql(sqlBlock('HAVING count(*) > 1'))).toMatchObject([
    { alert_id: alertId, count: '2' },
  ])
})

it('the grant to a scheduler, as the page shows it, is one', async () => {
  await database.sql('CREATE ROLE scheduler')
  try {
    await database.sql(sqlBlock('TO scheduler'))
    const rows = await database.sql(
      `SELECT has_function_privilege('scheduler', 'ensure_alert_partitions(integer)', 'EXECUTE') AS granted`,
    )
    expect(rows).toEqual([{ granted: true }])
  } finally {
    await database.sql('DROP OWNED BY scheduler; DROP ROLE scheduler')
  }
})
