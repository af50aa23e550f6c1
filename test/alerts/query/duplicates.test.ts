import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { AlertQuery } from '../../../src/index.ts'
import { insertHost, makeMonthByHand } from '../../partitions/fixtures.ts'
import { openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()

it('each row of an alert that stands in a month several times is given once, whatever is asked for', async () => {
  const hostId = await insertHost(database)
  await makeMonthByHand(database, '2024-07', 'alerts_2024_07')
  await database.sql(`
    INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
    SELECT '${randomUUID()}', '${hostId}', '2024-07-01Z', 'FILE', 'rule', jsonb_build_object('n', n), 'WARN', '2024-07-01Z'
    FROM generate_series(1, 3) AS n`)
  await using store = await openStore(database)
  const queries: readonly AlertQuery[] = [
    {},
    { hostId },
    { hostId: [hostId, randomUUID()] },
    { ruleName: ['rule', 'another'] },
    { severity: ['WARN', 'CRITICAL'] },
    { timestampFrom: '2024-07-01T00:00:00Z' },
  ]
  for (const query of queries) {
    const { alerts } = await store.queryAlerts(query)
    expect(alerts.map(({ eventDetail }) => eventDetail?.text).sort()).toEqual([
      '{"n": 1}',
      '{"n": 2}',
      '{"n": 3}',
    ])
  }
})
