import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why the program could not be started at all. */
  readonly error?: unknown
}

/** A program that was started, and how it ended. */
export class ManagedProcess {
  readonly ended: Promise<ProcessEnd>
  /** `undefined` while the program runs. */
  end: ProcessEnd | undefined
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    this.ended = new Promise(resolve => {
      const settle = (end: ProcessEnd) => {
        this.end ??= end
        resolve(this.end)
      }
      child.on('exit', (code, signal) => settle({ code, signal }))
      child.on('error', error => {
        // A failed signal is reported here as well; the program then still runs.
        if (child.pid === undefined) settle({ code: null, signal: null, error })
      })
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Sends a signal unless the program has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.end === undefined) this.#child.kill(signal)
  }

  /** Waits for the end, but not longer than so many milliseconds. */
  async endWithin(ms: number): Promise<ProcessEnd | undefined> {
    const timeout = AbortSignal.timeout(Math.ceil(ms))
    await Promise.race([this.ended, once(timeout, 'abort')])
    return this.end
  }
}

/** A message for a person about how a program ended. */
export function describeEnd({ code, signal, error }: ProcessEnd): string {
  if (error !== undefined)
    return `could not be started: ${error instanceof Error ? error.message : String(error)}`
  return signal === null ? `ended with the exit code ${code}` : `was ended by ${signal}`
}
