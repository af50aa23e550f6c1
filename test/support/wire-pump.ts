import type { Socket } from 'node:net'

export interface PumpSteps {
  /** The next chunk is read when this one is dealt with: the slowness of one side reaches the other. */
  readonly chunk: (chunk: Buffer) => Promise<void>
  /** The source says nothing more, but may listen. */
  readonly end: () => Promise<void>
  /** The source is gone. */
  readonly close: () => Promise<void>
  readonly failed: (error: unknown) => void
}

/** Takes what one socket says, strictly in order, one chunk at a time. */
export class Pump {
  readonly #source: Socket
  readonly #steps: PumpSteps
  #queue: Promise<void> = Promise.resolve()
  #discarding = false

  constructor(source: Socket, steps: PumpSteps) {
    this.#source = source
    this.#steps = steps
    source.on('data', chunk => this.#take(chunk))
    source.on('end', () => this.#add(steps.end))
    source.on('close', () => this.#add(steps.close))
    // It was accepted paused.
    source.resume()
  }

  /** Reads on, to see the end, but drops what it reads. */
  discard(): void {
    this.#discarding = true
    this.#source.resume()
  }

  #take(chunk: Buffer): void {
    if (this.#discarding) return
    this.#source.pause()
    this.#add(async () => {
      await this.#steps.chunk(chunk)
      this.#source.resume()
    })
  }

  #add(step: () => Promise<void>): void {
    this.#queue = this.#queue.then(step).catch(this.#steps.failed)
  }
}

/** Writes, and waits where the other side is slow. What is written to a socket that is gone is lost. */
export async function send(sink: Socket, bytes: Buffer): Promise<void> {
  if (sink.destroyed || sink.writableEnded || sink.write(bytes)) return
  await new Promise<void>(resolve => {
    const done = () => {
      sink.off('drain', done)
      sink.off('close', done)
      resolve()
    }
    sink.on('drain', done)
    sink.on('close', done)
  })
}

/** Open, or closed: then all wait. */
export class Gate {
  #closed: PromiseWithResolvers<void> | undefined

  get isOpen(): boolean {
    return this.#closed === undefined
  }

  close(): void {
    this.#closed ??= Promise.withResolvers<void>()
  }

  open(): void {
    this.#closed?.resolve()
    this.#closed = undefined
  }

  async pass(): Promise<void> {
    // It may be closed again before a waiter gets its turn.
    while (this.#closed !== undefined) await this.#closed.promise
  }
}
