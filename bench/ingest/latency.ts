import { Store } from '../../src/index.ts'
import { copyAlerts } from '../peers/copy-in.ts'
import { insertOne } from '../peers/single-inserts.ts'
import { makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { connect } from '../support/connect.ts'
import { median, quantile } from '../support/statistics.ts'
import { fixed, formatTable } from '../support/table.ts'

const SINGLE_CALLS = 500
const CALLERS = 1000
const CROWD_ROUNDS = 15
/** Calls at the start that are not counted: connections open, code is compiled. */
const WARM_UP = 3

export interface Latency {
  readonly what: string
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Ours and the peer take turns, so that both meet the same machine and the same growing table. */
export async function measureLatency(database: BenchDatabase): Promise<readonly Latency[]> {
  await database.clean()
  const { connectionString, hostIds } = database
  await using store = await Store.open({ connectionString })
  const client = await connect(connectionString)
  try {
    const single = await takeTurns(SINGLE_CALLS, {
      ours: () => callAtOnce(store, hostIds, 1),
      peer: async () => {
        const [alert] = makeAlerts(hostIds, 1)
        return alert ? [await timed(() => insertOne(client, alert))] : []
      },
    })
    const crowd = await takeTurns(CROWD_ROUNDS, {
      ours: () => callAtOnce(store, hostIds, CALLERS),
      peer: async () => {
        const alerts = makeAlerts(hostIds, CALLERS)
        return [await timed(() => copyAlerts(client, alerts))]
      },
    })
    const sent = 2 * (SINGLE_CALLS + WARM_UP) + 2 * (CROWD_ROUNDS + WARM_UP) * CALLERS
    await database.requireAlerts(sent, 'latency')
    return [
      summarise(`insertAlerts of 1 alert, idle store, ${SINGLE_CALLS} calls`, single.ours),
      summarise('INSERT of 1 row + COMMIT, prepared', single.peer),
      summarise(`insertAlerts of 1 alert, ${CALLERS} callers at once, ${CROWD_ROUNDS} rounds`, crowd.ours),
      summarise(`COPY of ${CALLERS} rows + COMMIT`, crowd.peer),
    ]
  } finally {
    await client.end()
  }
}

type Turn = () => Promise<readonly number[]>

async function takeTurns(
  rounds: number,
  sides: { readonly ours: Turn; readonly peer: Turn },
): Promise<{ readonly ours: readonly number[]; readonly peer: readonly number[] }> {
  const ours: number[] = []
  const peer: number[] = []
  for (let round = -WARM_UP; round < rounds; round++) {
    const [oursNow, peerNow] = [await sides.ours(), await sides.peer()]
    if (round < 0) continue
    ours.push(...oursNow)
    peer.push(...peerNow)
  }
  return { ours, peer }
}

/** How long each caller waits until its alert is committed. */
async function callAtOnce(
  store: Store,
  hostIds: readonly string[],
  callers: number,
): Promise<readonly number[]> {
  const alerts = makeAlerts(hostIds, callers)
  const startedAt = performance.now()
  return Promise.all(
    alerts.map(async alert => {
      const [receipt] = await store.insertAlerts([alert])
      const elapsedMs = performance.now() - startedAt
      if (receipt?.outcome !== 'stored')
        throw new Error(`the receipt of a new alert says ${receipt?.outcome}`)
      return elapsedMs
    }),
  )
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

function summarise(what: string, times: readonly number[]): Latency {
  return { what, p50Ms: median(times), p99Ms: quantile(times, 0.99) }
}

export function formatLatency(latencies: readonly Latency[]): string {
  const table = formatTable(latencies, [
    { title: 'latency', value: row => row.what, align: 'left' },
    { title: 'p50 ms', value: row => fixed(row.p50Ms, 2) },
    { title: 'p99 ms', value: row => fixed(row.p99Ms, 2) },
  ])
  return `Latency until committed, ours and the peer in turns\n${table}`
}
