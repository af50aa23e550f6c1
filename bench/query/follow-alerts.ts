/**
 * A process that follows the alerts of TRIPWIRE_DATABASE_URL with so many tails, until its stdin ends. It prints a line when all of
 * them follow, and at the end how many alerts each got, and when the first of them got those that are sampled.
 */
import { Store } from '../../src/index.ts'
import { type FollowResult, isSampled } from './follow-result.ts'

const [count = ''] = process.argv.slice(2)
const deliveredAt: Record<string, number> = {}
const delivered: number[] = []
const stop = new AbortController()
await using store = await Store.open({
  connectionString: process.env['TRIPWIRE_DATABASE_URL'] ?? '',
  maintenanceIntervalMs: 0,
  maxConnections: Number(count) + 2,
})

async function follow(tail: number): Promise<void> {
  delivered[tail] = 0
  try {
    for await (const { alert } of store.tailAlerts({ signal: stop.signal })) {
      delivered[tail] = (delivered[tail] ?? 0) + 1
      if (tail === 0 && isSampled(alert.alertId)) {
        deliveredAt[alert.alertId] = performance.timeOrigin + performance.now()
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  }
}

const following = Array.from({ length: Number(count) }, (_, tail) => follow(tail))
process.stdout.write('following\n')
process.stdin.resume()
process.stdin.on('end', () => stop.abort())
await Promise.all(following)
const result: FollowResult = { delivered, deliveredAt }
process.stdout.write(JSON.stringify(result))
