import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const NANOSECONDS_PER_MS = 1e6
const EVENT_LOOP_RESOLUTION_MS = 5

/** Calls that begin at a fixed rate, however long each takes. */
export interface PacedCalls {
  readonly what: string
  readonly perSecond: number
  /** Makes the next call ready. What it returns is called at the moment that the rate says. */
  prepare(): () => Promise<void>
}

/** In milliseconds of `performance.now()`. */
export interface Sample {
  /** When the call was due. The latency counts from here, so that waiting to be called is part of it. */
  readonly dueAt: number
  readonly calledAt: number
  readonly doneAt: number
}

export interface LoadReport {
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  /** How late the event loop of this process came to its timers. */
  readonly eventLoopDelayMs: { readonly p99: number; readonly max: number }
}

export function latencyMs({ dueAt, doneAt }: Sample): number {
  return doneAt - dueAt
}

/** Runs the calls at their rates while `during` works, and keeps those that were due meanwhile. */
export async function runPacedLoad(
  calls: readonly PacedCalls[],
  warmUpMs: number,
  during: () => Promise<void>,
): Promise<LoadReport> {
  const stop = new AbortController()
  const startedAt = performance.now()
  const running = calls.map((each, index) =>
    // Apart by a fraction of a millisecond and more: calls of different kinds are not due at the same moments.
    pace(each, startedAt + (index * 1000) / each.perSecond / calls.length, stop.signal),
  )
  const failed = Promise.race(running)
  let working: Promise<void> | undefined
  try {
    await Promise.race([sleep(warmUpMs), failed])
    const loopDelay = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS })
    loopDelay.enable()
    const from = performance.now()
    working = during()
    await Promise.race([working, failed])
    const to = performance.now()
    loopDelay.disable()
    stop.abort()
    const samples = await Promise.all(running)
    const meanwhile = ({ dueAt }: Sample) => dueAt >= from && dueAt < to
    return {
      samples: new Map(calls.map(({ what }, index) => [what, (samples[index] ?? []).filter(meanwhile)])),
      eventLoopDelayMs: {
        p99: loopDelay.percentile(99) / NANOSECONDS_PER_MS - EVENT_LOOP_RESOLUTION_MS,
        max: loopDelay.max / NANOSECONDS_PER_MS - EVENT_LOOP_RESOLUTION_MS,
      },
    }
  } finally {
    stop.abort()
    await Promise.allSettled([...running, working])
  }
}

/** Ends when the signal is aborted and every call is answered; fails with the first call that fails. */
async function pace(calls: PacedCalls, startedAt: number, stop: AbortSignal): Promise<readonly Sample[]> {
  const failure = Promise.withResolvers<never>()
  const pending: Promise<Sample>[] = []
  const work = async () => {
    for (let number = 0; !stop.aborted; number++) {
      const dueAt = startedAt + (number * 1000) / calls.perSecond
      const call = calls.prepare()
      for (let wait = dueAt - performance.now(); wait > 0; wait = dueAt - performance.now()) await sleep(wait)
      const sample = timed(dueAt, call)
      sample.catch(failure.reject)
      pending.push(sample)
    }
    return Promise.all(pending)
  }
  return Promise.race([work(), failure.promise])
}

async function timed(dueAt: number, call: () => Promise<void>): Promise<Sample> {
  const calledAt = performance.now()
  await call()
  return { dueAt, calledAt, doneAt: performance.now() }
}
