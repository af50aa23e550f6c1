/** Inserts 70,000 alerts of a host twice, in a process of its own. Prints how many had which outcome. */
import { randomUUID } from 'node:crypto'
import { Store } from '../../src/index.ts'

const [connectionString = '', hostId = ''] = process.argv.slice(2)
await using store = await Store.open({ connectionString })
const alerts = Array.from({ length: 70_000 }, () => ({
  alertId: randomUUID(),
  hostId,
  timestamp: '2026-03-01T10:00:00.123456Z',
  tripwireType: 'FILE' as const,
  ruleName: 'etc-passwd',
  severity: 'WARN' as const,
}))
const answers = []
for (let round = 0; round < 2; round++) {
  const receipts = await store.insertAlerts(alerts)
  const inOrder = receipts.every((receipt, index) => receipt.alertId === alerts[index]?.alertId)
  const outcomes = Object.groupBy(receipts, receipt => receipt.outcome)
  answers.push({ inOrder, stored: outcomes.stored?.length, duplicate: outcomes.duplicate?.length })
}
process.stdout.write(JSON.stringify(answers))
