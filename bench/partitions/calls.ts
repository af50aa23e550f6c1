import type { Store } from '../../src/index.ts'
import { storeAll } from '../ingest/engine-runs.ts'
import { type BenchAlert, makeAlerts } from '../support/bench-alert.ts'
import type { PacedCalls } from './paced-load.ts'

const QUERIES_PER_SECOND = 20
const DAY_MS = 86_400_000

export const INSERTS = 'insertAlerts'
export const HOST_PAGES = 'newest page of a host'
export const CRITICAL_PAGES = 'newest page of CRITICAL'

export function paceInserts(
  store: Store,
  hostIds: readonly string[],
  {
    perSecond,
    listSize,
    onStored = () => undefined,
  }: {
    readonly perSecond: number
    readonly listSize: number
    readonly onStored?: (alerts: readonly BenchAlert[]) => void
  },
): PacedCalls {
  return {
    what: INSERTS,
    perSecond,
    prepare: () => {
      const alerts = makeAlerts(hostIds, listSize)
      return async () => {
        await storeAll(store, alerts)
        onStored(alerts)
      }
    },
  }
}

/** @param from the first moment asked for: pages of a host over all months, of a severity over a day, as a dashboard asks. */
export function paceQueries(store: Store, hostIds: readonly string[], from: string): readonly PacedCalls[] {
  let next = 0
  const to = () => new Date(Date.now() + 1000)
  return [
    {
      what: HOST_PAGES,
      perSecond: QUERIES_PER_SECOND,
      prepare: () => {
        const hostId = hostIds[next++ % hostIds.length] ?? ''
        return () => requirePage(store.queryAlerts({ from, to: to(), hostId }))
      },
    },
    {
      what: CRITICAL_PAGES,
      perSecond: QUERIES_PER_SECOND,
      prepare: () => () =>
        requirePage(
          store.queryAlerts({ from: new Date(Date.now() - DAY_MS), to: to(), severity: 'CRITICAL' }),
        ),
    },
  ]
}

async function requirePage(page: ReturnType<Store['queryAlerts']>): Promise<void> {
  if ((await page).alerts.length === 0) throw new Error('a page that must hold alerts is empty')
}
