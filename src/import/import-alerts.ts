import { InvalidInputError } from '../errors.ts'
import { parseOneOf } from '../model/input.ts'
import {
  SENSOR_FORMATS,
  type SensorAdapter,
  type SensorFormat,
  type SensorResult,
} from '../sensors/sensor-adapter.ts'
import { SENSORS } from '../sensors/sensors.ts'
import { AlertBatch } from './alert-batch.ts'
import { ImportProgress } from './import-progress.ts'
import { describeError, type ImportProblem, type ImportReport, ImportTally } from './import-report.ts'
import type { ImportTarget } from './import-target.ts'
import { OccurrenceCounter } from './occurrence-counter.ts'
import { type ReadLine, readLines } from './read-lines.ts'

export interface ImportOptions {
  readonly format: SensorFormat
  /** Called at most four times a second, and once at the end, also before an error. `bytesRead` counts bytes of the source. */
  readonly onProgress?: (report: ImportReport, bytesRead: number) => void
  /** Called for every problem, also beyond those that the report lists. */
  readonly onProblem?: (problem: ImportProblem) => void
  /** Looked at with every line. A source that is silent has to be ended by its owner. */
  readonly signal?: AbortSignal
  /** The clock, in milliseconds. Defaults to `Date.now`. */
  readonly now?: () => number
}

/**
 * Reads a sensor's log and stores its alerts, registering hosts that are not registered yet. An import may be repeated:
 * alerts that were stored before are counted as duplicates. Lines that cannot be read and alerts that are refused do not
 * stop it; they are reported with the number of their line.
 *
 * ```ts
 * const report = await importAlerts(store, createReadStream('sysmon.ndjson.gz'), { format: 'sysmon' })
 * ```
 * @throws InvalidInputError with the field `source` when gzip data is damaged; what the source or the store throws; the
 * reason of the signal. Alerts that were read before an error of the source, or before the signal, are stored first.
 */
export async function importAlerts(
  target: ImportTarget,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportReport> {
  const adapter = SENSORS[parseOneOf('format', options.format, SENSOR_FORMATS)]
  const tally = new ImportTally(options.onProblem ?? (() => {}))
  const progress = new ImportProgress(tally, options.onProgress ?? (() => {}), options.now ?? Date.now)
  const batch = new AlertBatch(target, tally)
  const occurrences = new OccurrenceCounter()
  try {
    for await (const line of readLines(progress.counting(source))) {
      options.signal?.throwIfAborted()
      await takeLine(line, { adapter, tally, batch, occurrences })
      progress.tick()
    }
  } finally {
    await batch.store().finally(() => progress.show())
  }
  return tally.report()
}

interface ImportState {
  readonly adapter: SensorAdapter
  readonly tally: ImportTally
  readonly batch: AlertBatch
  readonly occurrences: OccurrenceCounter
}

async function takeLine(line: ReadLine, { adapter, tally, batch, occurrences }: ImportState): Promise<void> {
  tally.lines++
  const { lineNumber } = line
  if ('problem' in line) {
    tally.addUnreadable({ lineNumber, message: line.problem })
    return
  }
  let result: SensorResult
  try {
    result = adapter.readLine(line.text)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    tally.addUnreadable({ lineNumber, message: describeError(error) })
    return
  }
  if (result.kind === 'skipped') {
    tally.addSkipped(result.reason)
    return
  }
  tally.alerts++
  const { host, alert, identity } = result
  const alertId = identity === 'own' ? alert.alertId : occurrences.idOfNext(alert.alertId)
  await batch.add({ lineNumber, characters: line.text.length, host, alert: { ...alert, alertId } })
}
