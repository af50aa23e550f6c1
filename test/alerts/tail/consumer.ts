import { expect } from 'vitest'
import type { AlertFilterInput, AlertTail, Store } from '../../../src/index.ts'

export interface ConsumerOptions {
  readonly filter?: AlertFilterInput
  /** How long it is busy with each alert. */
  readonly handle?: () => Promise<void>
}

/** One who follows alerts, remembers what came, and goes on behind the last one after each stop. */
export class Consumer {
  readonly delivered: string[] = []
  readonly retries: unknown[] = []
  readonly #options: ConsumerOptions
  #token: string | undefined
  #tail: AlertTail | undefined
  #running: Promise<unknown> | undefined

  constructor(options: ConsumerOptions = {}) {
    this.#options = options
  }

  async start(store: Store): Promise<void> {
    const { filter = {} } = this.#options
    const after = this.#token
    const onRetry = (error: unknown) => void this.retries.push(error)
    const tail = store.tailAlerts({ filter, after, pollIntervalMs: 10, onRetry })
    this.#tail = tail
    await tail.started()
    this.#token ??= tail.resumeToken
    this.#running = this.#consume(tail).catch((error: unknown) => error)
  }

  /** As a process that ends between two alerts. What it had in hand and not finished comes again. */
  async stop(): Promise<void> {
    await this.#tail?.close()
    expect(await this.#running).toBeUndefined()
  }

  /** The error that ended it. */
  async failure(): Promise<unknown> {
    return this.#running
  }

  async #consume(tail: AlertTail): Promise<void> {
    for await (const { alert, resumeToken } of tail) {
      await this.#options.handle?.()
      this.delivered.push(alert.alertId)
      this.#token = resumeToken
    }
  }

  /** Until this alert has come, which was committed after all others. */
  async waitFor(alertId: string): Promise<void> {
    await expect.poll(() => this.delivered.includes(alertId), { timeout: 20_000 }).toBe(true)
  }
}
