/** Inserts lists for ever on a store with a spool, and prints each list that is acknowledged. */
import { Store } from '../../src/index.ts'

const [connectionString = '', spoolDir = '', hostId = ''] = process.argv.slice(2)
const LIST = 20

const store = await Store.open({ connectionString, spoolDir, retryForMs: 1, flushIntervalMs: 5 })
let next = 0

function alertNumber(number: number) {
  return {
    alertId: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    hostId,
    timestamp: '2026-02-03T04:05:06.123456Z',
    tripwireType: 'FILE',
    ruleName: `rule ${number}`,
    severity: 'INFO',
  } as const
}

async function insertForEver(): Promise<void> {
  for (;;) {
    const first = next
    next += LIST
    const receipts = await store.insertAlerts(
      Array.from({ length: LIST }, (_, index) => alertNumber(first + index)),
    )
    const outcomes = [...new Set(receipts.map(receipt => receipt.outcome))].join('+')
    process.stdout.write(`${first} ${outcomes}\n`)
    await new Promise(resolve => setImmediate(resolve))
  }
}

await Promise.all([insertForEver(), insertForEver(), insertForEver()])
