import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.ts'

export interface Fault {
  readonly name: string
  /** Does harm, and mends it. */
  readonly strike: (random: Random) => Promise<void>
}

/** Lets one fault after another happen for so long, and notes their names. */
export async function strikeAtRandom(
  faults: readonly [Fault, ...Fault[]],
  random: Random,
  durationMs: number,
  struck: string[],
): Promise<void> {
  const deadline = performance.now() + durationMs
  for (;;) {
    await sleep(random.int(30, 600))
    const fault = random.pick(faults)
    if (performance.now() > deadline) return
    struck.push(fault.name)
    await fault.strike(random)
  }
}
