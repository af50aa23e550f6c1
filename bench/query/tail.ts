import { setTimeout as sleep } from 'node:timers/promises'
import { Store } from '../../src/index.ts'
import { LIST_SIZE, runProducers } from '../ingest/engine-runs.ts'
import { INSERTS, paceInserts } from '../partitions/calls.ts'
import { runPacedLoad } from '../partitions/paced-load.ts'
import { type BenchAlert, makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import type { Output } from '../support/output.ts'
import { median, quantile } from '../support/statistics.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { isSampled } from './follow-result.ts'
import { Followers } from './followers.ts'
import type { QueryOptions } from './options.ts'

const TAILS = [0, 1, 20]
const PACED_LIST_SIZE = 100
const WARM_UP_MS = 2000
/** For what was stored last to be delivered before the tails are ended. */
const DELIVERY_MS = 3000

export interface ThroughputFigures {
  readonly tails: number
  /** The median of the rounds. */
  readonly alertsPerSecond: number
  /** Of the ingest without tails in the same round. */
  readonly share: number
  /** Of what was stored, the share that the slowest tail had been given three seconds after the end. */
  readonly delivered: number
}

export interface DeliveryFigures {
  readonly alertsPerSecond: number
  readonly sampled: number
  /** From when `insertAlerts` said that it is stored. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Sampled alerts that the tail did not give at all. */
  readonly missing: number
}

export interface TailFigures {
  readonly throughput: readonly ThroughputFigures[]
  readonly delivery: DeliveryFigures
}

/** What tails cost the ingest, and how soon they give what was stored while it runs at half its best rate. */
export async function measureTail(
  database: BenchDatabase,
  { rounds, seconds }: QueryOptions,
  output: Output,
): Promise<TailFigures> {
  await database.clean()
  const runs: { tails: number; round: number; alertsPerSecond: number; delivered: number }[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const tails of TAILS) {
      const run = await measureThroughput(database, tails, seconds)
      runs.push({ tails, round, ...run })
      output.progress(
        `round ${round} of ${rounds}: ${tails} tails: ${grouped(run.alertsPerSecond)} alerts/s, ${fixed(run.delivered * 100, 0, ' %')} delivered`,
      )
    }
  }
  const throughput = TAILS.map(tails => {
    const own = runs.filter(run => run.tails === tails)
    const alone = (round: number) =>
      runs.find(run => run.tails === 0 && run.round === round)?.alertsPerSecond ?? Number.NaN
    return {
      tails,
      alertsPerSecond: median(own.map(run => run.alertsPerSecond)),
      share: median(own.map(run => run.alertsPerSecond / alone(run.round))),
      delivered: median(own.map(run => run.delivered)),
    }
  })
  const half = (throughput[0]?.alertsPerSecond ?? Number.NaN) / 2
  return { throughput, delivery: await measureDelivery(database, half, seconds) }
}

async function measureThroughput(
  database: BenchDatabase,
  tails: number,
  seconds: number,
): Promise<{ readonly alertsPerSecond: number; readonly delivered: number }> {
  const followers = await Followers.start(database.connectionString, tails)
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
  })
  let sent = 0
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  await runProducers(store, () => {
    if (performance.now() > until) return []
    sent += LIST_SIZE
    return makeAlerts(database.hostIds, LIST_SIZE)
  })
  const took = (performance.now() - startedAt) / 1000
  await sleep(DELIVERY_MS)
  const { delivered } = await followers.stop()
  return { alertsPerSecond: sent / took, delivered: tails === 0 ? Number.NaN : Math.min(...delivered) / sent }
}

async function measureDelivery(
  database: BenchDatabase,
  alertsPerSecond: number,
  seconds: number,
): Promise<DeliveryFigures> {
  await database.checkpoint()
  const followers = await Followers.start(database.connectionString, 1)
  await using store = await Store.open({
    connectionString: database.connectionString,
    maintenanceIntervalMs: 0,
  })
  const storedAt = new Map<string, number>()
  const inserts = paceInserts(store, database.hostIds, {
    perSecond: alertsPerSecond / PACED_LIST_SIZE,
    listSize: PACED_LIST_SIZE,
    onStored: alerts => remember(alerts, storedAt),
  })
  await runPacedLoad([inserts], WARM_UP_MS, () => sleep(seconds * 1000))
  await sleep(DELIVERY_MS)
  const { deliveredAt } = await followers.stop()
  const waits = [...storedAt].flatMap(([alertId, at]) => {
    const delivered = deliveredAt[alertId]
    return delivered === undefined ? [] : [Math.max(delivered - at, 0)]
  })
  return {
    alertsPerSecond,
    sampled: storedAt.size,
    p50Ms: quantile(waits, 0.5),
    p99Ms: quantile(waits, 0.99),
    maxMs: waits.reduce((highest, wait) => Math.max(highest, wait), 0),
    missing: storedAt.size - waits.length,
  }
}

function remember(alerts: readonly BenchAlert[], storedAt: Map<string, number>): void {
  const now = performance.timeOrigin + performance.now()
  for (const { alertId } of alerts) if (isSampled(alertId)) storedAt.set(alertId, now)
}

export function formatTail({ throughput, delivery }: TailFigures, { rounds }: QueryOptions): string {
  return [
    `${INSERTS} as fast as it goes, beside tails in another process; median of ${rounds} interleaved rounds`,
    formatTable(throughput, [
      { title: 'tails', value: row => String(row.tails) },
      { title: 'alerts/s', value: row => grouped(row.alertsPerSecond) },
      { title: '× without', value: row => fixed(row.share, 2) },
      { title: 'delivered to the slowest', value: row => fixed(row.delivered * 100, 0, ' %') },
    ]),
    '',
    `From stored to delivered, ${grouped(delivery.alertsPerSecond)} alerts/s in lists of ${PACED_LIST_SIZE}, one tail, of ${grouped(delivery.sampled)} sampled`,
    formatTable(
      [delivery],
      [
        { title: 'p50 ms', value: row => fixed(row.p50Ms, 1) },
        { title: 'p99 ms', value: row => fixed(row.p99Ms, 1) },
        { title: 'highest ms', value: row => fixed(row.maxMs, 1) },
        { title: 'missing', value: row => String(row.missing) },
      ],
    ),
    '',
  ].join('\n')
}
