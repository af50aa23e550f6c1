import { TripwireStorageError } from '../errors.ts'
import type { MaintenanceFailure, MaintenanceReport, MaintenanceStatus } from '../model/partition.ts'
import { horizonDays } from './horizon.ts'

/** The pause varies by so much, so that the stores of several processes do not stay in step. */
const JITTER = 0.1

export interface MaintenanceServiceOptions {
  /** The pause between two runs; 0 runs only when asked to. */
  readonly intervalMs: number
  readonly maintain: (signal: AbortSignal) => Promise<MaintenanceReport>
  /** Called after a run that another maintainer did not make unnecessary. */
  readonly onFinished: (report: MaintenanceReport) => void
  /** Called when a run could not be made at all. */
  readonly onFailed: (error: unknown) => void
  /** Called after a run that was made by the timer, and that another maintainer did not make unnecessary. */
  readonly onTimerRun: () => void
}

/** Runs the maintenance at the start and from time to time. Two runs never overlap. */
export class MaintenanceService {
  readonly #options: MaintenanceServiceOptions
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<MaintenanceReport> | undefined
  #lastRunAt: string | null = null
  #lastSuccessAt: string | null = null
  #failures: readonly MaintenanceFailure[] = []
  #error: unknown
  #horizon: string | null | undefined

  constructor(options: MaintenanceServiceOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#options.intervalMs === 0 || this.#stop.signal.aborted) return
    this.runOnce()
      .then(report => {
        if (!report.skipped) this.#options.onTimerRun()
      })
      .catch(error => {
        if (!this.#stop.signal.aborted) this.#options.onFailed(error)
      })
      .finally(() => this.#schedule())
  }

  /** Runs now, or joins the run that is on its way. */
  runOnce(): Promise<MaintenanceReport> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  get status(): MaintenanceStatus {
    return {
      lastRunAt: this.#lastRunAt,
      lastSuccessAt: this.#lastSuccessAt,
      failures: this.#failures,
      error: this.#error,
      horizonDays: this.#horizon === undefined ? null : horizonDays(this.#horizon, Date.now()),
    }
  }

  /** Aborted when the store closes. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Cancels what runs, and runs no more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    this.#stop.abort(new TripwireStorageError('STORE_CLOSED', 'the store was closed'))
    await this.#running?.catch(() => undefined)
  }

  async #run(): Promise<MaintenanceReport> {
    try {
      const report = await this.#options.maintain(this.#stop.signal)
      this.#horizon = report.horizon
      this.#error = undefined
      if (!report.skipped) this.#finish(report)
      return report
    } catch (error) {
      this.#error = error
      throw error
    }
  }

  #finish(report: MaintenanceReport): void {
    this.#lastRunAt = new Date().toISOString()
    this.#failures = report.failures
    if (report.failures.length === 0) this.#lastSuccessAt = this.#lastRunAt
    this.#options.onFinished(report)
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return
    const delayMs = this.#options.intervalMs * (1 - JITTER + 2 * JITTER * Math.random())
    this.#timer = setTimeout(() => this.start(), delayMs)
    // The connections keep the process alive, if anything shall.
    this.#timer.unref()
  }
}
