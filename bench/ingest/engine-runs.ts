import { Store } from '../../src/index.ts'
import type { BenchAlert } from '../support/bench-alert.ts'
import type { Run } from '../support/measure.ts'

/** The engine at its best: so many callers at once, each with a list that it awaits before it sends the next. */
export const PRODUCERS = 8
export const LIST_SIZE = 1000

/** The engine as the Go version is used: one producer, one alert a call, batches of 100, 100 ms. */
const SEED_OPTIONS = { batchSize: 100, flushIntervalMs: 100 }

export async function openOneProducer(connectionString: string, alerts: readonly BenchAlert[]): Promise<Run> {
  const store = await Store.open({ connectionString, ...SEED_OPTIONS })
  return {
    work: async () => {
      for (const alert of alerts) await store.batchInsertAlerts(alert)
      await store.flush()
    },
    close: async () => {
      await store.close()
    },
  }
}

export async function openListProducers(
  connectionString: string,
  alerts: readonly BenchAlert[],
): Promise<Run> {
  const store = await Store.open({ connectionString })
  let next = 0
  return {
    work: () =>
      runProducers(store, () => {
        const list = alerts.slice(next, next + LIST_SIZE)
        next += list.length
        return list
      }),
    close: async () => {
      await store.close()
    },
  }
}

/** Sends what `nextList` gives until it gives nothing more. */
export async function runProducers(store: Store, nextList: () => readonly BenchAlert[]): Promise<void> {
  await Promise.all(
    Array.from({ length: PRODUCERS }, async () => {
      for (let list = nextList(); list.length > 0; list = nextList()) await storeAll(store, list)
    }),
  )
}

/** @throws when the answer to any of the alerts is not `stored`. */
export async function storeAll(store: Store, alerts: readonly BenchAlert[]): Promise<void> {
  const receipts = await store.insertAlerts(alerts)
  const other = receipts.find(receipt => receipt.outcome !== 'stored')
  if (other) throw new Error(`the receipt of a new alert says ${other.outcome}`, { cause: other })
}
