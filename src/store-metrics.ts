import { type BatchObservableCallback, metrics, type Observable } from '@opentelemetry/api'
import type { AlertCounts } from './alerts/ingest/alert-counters.ts'
import type { MaintenanceStatus } from './model/partition.ts'

const METER_NAME = 'tripwire-storage'

/** Metrics of one store. `stop` takes its callbacks back. */
export interface StoreMetrics {
  recordFlush(alerts: number, durationMs: number): void
  recordRetry(): void
  stop(): void
}

/**
 * OpenTelemetry metrics, through the API alone: where no SDK was set up before the store was opened, all of this does nothing.
 *
 * | name | kind | unit |
 * |---|---|---|
 * | `tripwire.alerts` with `outcome` stored, duplicate, dead_lettered, rejected | counter | {alert} |
 * | `tripwire.alerts.in_flight`, `tripwire.alerts.spooled` | gauge | {alert} |
 * | `tripwire.flush.duration` | histogram | s |
 * | `tripwire.flush.size` | histogram | {alert} |
 * | `tripwire.flush.retries` | counter | {retry} |
 * | `tripwire.partitions.horizon` | gauge | d |
 * | `tripwire.maintenance.last_success`, Unix time | gauge | s |
 */
export function observeStore(counts: () => AlertCounts, maintenance: () => MaintenanceStatus): StoreMetrics {
  const meter = metrics.getMeter(METER_NAME)
  const outcomes = meter.createObservableCounter('tripwire.alerts', { unit: '{alert}' })
  const inFlight = meter.createObservableGauge('tripwire.alerts.in_flight', { unit: '{alert}' })
  const spooled = meter.createObservableGauge('tripwire.alerts.spooled', { unit: '{alert}' })
  const duration = meter.createHistogram('tripwire.flush.duration', { unit: 's' })
  const size = meter.createHistogram('tripwire.flush.size', { unit: '{alert}' })
  const retries = meter.createCounter('tripwire.flush.retries', { unit: '{retry}' })
  const horizon = meter.createObservableGauge('tripwire.partitions.horizon', { unit: 'd' })
  const lastSuccess = meter.createObservableGauge('tripwire.maintenance.last_success', { unit: 's' })
  const observed: Observable[] = [outcomes, inFlight, spooled, horizon, lastSuccess]
  const callback: BatchObservableCallback = result => {
    const now = counts()
    result.observe(outcomes, now.stored, { outcome: 'stored' })
    result.observe(outcomes, now.duplicate, { outcome: 'duplicate' })
    result.observe(outcomes, now.deadLettered, { outcome: 'dead_lettered' })
    result.observe(outcomes, now.rejected, { outcome: 'rejected' })
    result.observe(inFlight, now.inFlight)
    result.observe(spooled, now.spooled)
    const { horizonDays, lastSuccessAt } = maintenance()
    if (horizonDays !== null) result.observe(horizon, horizonDays)
    if (lastSuccessAt !== null) result.observe(lastSuccess, Date.parse(lastSuccessAt) / 1000)
  }
  meter.addBatchObservableCallback(callback, observed)
  return {
    recordFlush: (alerts, durationMs) => {
      duration.record(durationMs / 1000)
      size.record(alerts)
    },
    recordRetry: () => retries.add(1),
    stop: () => meter.removeBatchObservableCallback(callback, observed),
  }
}
