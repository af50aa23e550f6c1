import { setTimeout as sleep } from 'node:timers/promises'
import { AlertsNotStoredError, type Store } from '../../src/index.ts'
import { plannedAlert } from '../alerts/plan.ts'
import { bounded } from '../support/bounded.ts'
import { Random } from '../support/random.ts'
import { describeError } from './allowed-errors.ts'
import { BatchSender } from './batch-sender.ts'
import type { Mode, WriterContext } from './context.ts'
import { describeCounts, problemOf, watchCounts } from './count-watch.ts'
import { sendLists } from './list-sender.ts'
import type { Command, WriterMessage } from './messages.ts'
import { openStore } from './open-store.ts'
import type { WriterOptions } from './options.ts'
import { SentAlerts } from './sent-alerts.ts'
import { TakenCount } from './taken-count.ts'

const LIST_SENDERS = 4
const LOOK_MS = 20
const PROGRESS_MS = 2000
/** After the close no call may be left waiting. */
const CALLS_END_MS = 5000
/** Beyond `closeTimeoutMs`: for the spool's fsync and a busy machine. */
const CLOSE_GRACE_MS = 3000

/** One life of a writer: from the opening of its store to the close, or to its kill. */
export class WriterSession {
  readonly #options: WriterOptions
  readonly #send: (message: WriterMessage) => void
  #mode: Mode = 'produce'
  /** `settle` was asked for, and not answered yet. */
  #settleAsked = false
  #notedAt = 0

  constructor(options: WriterOptions, send: (message: WriterMessage) => void) {
    this.#options = options
    this.#send = send
  }

  obey(command: Command): void {
    if (this.#mode === 'close') return
    this.#mode = command
    this.#settleAsked = command === 'settle'
  }

  /** Ends after the command `close`. */
  async run(): Promise<void> {
    const store = await openStore(this.#options, () => this.#mode === 'close')
    if (!store) {
      this.#send({ kind: 'closed', closeMs: 0, handedBack: 0 })
      return
    }
    const context = this.#contextFor(store)
    // What an earlier life left in the spool.
    context.taken.certain(store.stats().accepted)
    store.on('spoolFailed', ({ error }) => this.#violation(`the spool failed: ${describeError(error)}`))
    using _watch = watchCounts(store, text => this.#violation(text))
    const batches = new BatchSender(context)
    const calls = Promise.all([
      batches.run(),
      ...Array.from({ length: LIST_SENDERS }, () => sendLists(context)),
    ])
    calls.catch(error => this.#violation(describeError(error)))
    this.#send({ kind: 'ready' })
    while (this.#mode !== 'close') {
      await sleep(LOOK_MS)
      if (this.#settleAsked) this.#answerWhenSettled(context, batches)
    }
    await this.#close(store, batches, calls)
    context.sent.close()
  }

  #answerWhenSettled({ store, sent, taken }: WriterContext, batches: BatchSender): void {
    const counts = store.stats()
    this.#noteProgress(
      `unacknowledged ${sent.unacknowledged}, waiting ${batches.waiting}, ${describeCounts(counts)}`,
    )
    if (sent.unacknowledged > 0 || batches.waiting > 0 || counts.spooled > 0 || counts.inFlight > 0) return
    if (!taken.fits(counts.accepted)) {
      this.#violation(`the store took ${taken} alerts, and says: ${describeCounts(counts)}`)
    }
    this.#settleAsked = false
    const { accepted, stored, duplicate, deadLettered, spooled, inFlight, rejected } = counts
    this.#send({
      kind: 'settled',
      counts: { accepted, stored, duplicate, deadLettered, spooled, inFlight, rejected },
    })
  }

  async #close(store: Store, batches: BatchSender, calls: Promise<unknown>): Promise<void> {
    const { closeTimeoutMs } = this.#options
    const startedAt = performance.now()
    const error = await bounded(
      closeTimeoutMs + CLOSE_GRACE_MS,
      `close with closeTimeoutMs ${closeTimeoutMs}`,
      store.close().then(
        () => undefined,
        (reason: unknown) => reason,
      ),
    )
    const closeMs = Math.round(performance.now() - startedAt)
    if (error !== undefined && !(error instanceof AlertsNotStoredError)) {
      this.#violation(`close failed with ${describeError(error)}`)
    }
    const handedBack = batches.acknowledgeClose(error)
    await bounded(CALLS_END_MS, 'the calls that were under way at the close', calls)
    const counts = store.stats()
    const problem = counts.inFlight === 0 ? problemOf(counts) : 'alerts are in flight'
    if (problem !== undefined) this.#violation(`after the close, ${problem}: ${describeCounts(counts)}`)
    this.#send({ kind: 'closed', closeMs, handedBack })
  }

  #contextFor(store: Store): WriterContext {
    const { origin, writer, ledgerPath, firstNumber, seed, spoolDir } = this.#options
    return {
      store,
      hasSpool: spoolDir !== undefined,
      random: new Random(seed),
      sent: new SentAlerts(ledgerPath, firstNumber),
      taken: new TakenCount(),
      mode: () => this.#mode,
      alert: number => plannedAlert(origin, writer, number),
      reportViolation: text => this.#violation(text),
    }
  }

  /** Into the log of the process, where a settling that does not end can be understood. */
  #noteProgress(text: string): void {
    if (performance.now() - this.#notedAt < PROGRESS_MS) return
    this.#notedAt = performance.now()
    process.stdout.write(`${new Date().toISOString()} settling: ${text}\n`)
  }

  #violation(text: string): void {
    this.#send({ kind: 'violation', text })
  }
}
