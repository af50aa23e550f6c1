import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { newAlert, newAlerts, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
const provider = new MeterProvider({ readers: [reader] })

beforeAll(() => {
  metrics.setGlobalMeterProvider(provider)
})
afterAll(async () => {
  metrics.disable()
  await provider.shutdown()
})

/** The last value of a metric, by its attributes. */
async function collect(name: string): Promise<ReadonlyMap<string, unknown>> {
  exporter.reset()
  await reader.forceFlush()
  const found = exporter
    .getMetrics()
    .flatMap(each => each.scopeMetrics)
    .flatMap(scope => scope.metrics)
    .filter(metric => metric.descriptor.name === name)
  return new Map(
    found.flatMap(metric =>
      metric.dataPoints.map(point => [JSON.stringify(point.attributes), point.value] as const),
    ),
  )
}

it('shows in OpenTelemetry what stats() shows', async () => {
  const store = await openStore(database)
  const hostId = await newHost(store)
  const alerts = newAlerts(30, hostId)
  await store.insertAlerts(alerts)
  await store.insertAlerts(alerts.slice(0, 10))
  await store.insertAlerts([newAlert('00000000-0000-4000-8000-000000000000')])

  const counts = await collect('tripwire.alerts')
  expect(Object.fromEntries(counts)).toEqual({
    '{"outcome":"stored"}': 30,
    '{"outcome":"duplicate"}': 10,
    '{"outcome":"dead_lettered"}': 1,
    '{"outcome":"rejected"}': 0,
  })
  expect((await collect('tripwire.alerts.in_flight')).get('{}')).toBe(0)
  const { flushes } = store.stats()
  expect((await collect('tripwire.flush.duration')).get('{}')).toMatchObject({ count: flushes })
  expect((await collect('tripwire.flush.size')).get('{}')).toMatchObject({ count: flushes, sum: 41 })
  await store.close()
})
