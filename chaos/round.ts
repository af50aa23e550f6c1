import { setTimeout as sleep } from 'node:timers/promises'
import { check, type Totals } from './check/check.ts'
import { strikeAtRandom } from './faults/fault.ts'
import { networkFaults } from './faults/network-faults.ts'
import { serverFaults } from './faults/server-faults.ts'
import { writerFaults } from './faults/writer-faults.ts'
import { bounded } from './support/bounded.ts'
import type { Random } from './support/random.ts'
import { Violation } from './support/violation.ts'
import type { World } from './world.ts'

export interface RoundReport {
  readonly faults: readonly string[]
  readonly totals: Totals
}

/** All faults mend themselves; one that is waited for this long is stuck. */
const FAULTS_MS = 120_000
const CHECK_MS = 120_000

/**
 * Alerts flow, faults happen, everything is mended, and then every alert must be where it belongs.
 * @throws Violation
 */
export async function runRound(world: World, random: Random, faults: string[]): Promise<RoundReport> {
  await sleep(random.int(0, 300))
  await bounded(FAULTS_MS, 'the faults of the round', strike(world, random, faults))
  throwReported(world)
  if (random.chance(0.4)) await checkKilled(world, random, faults)
  await Promise.all(world.writers.map(writer => writer.settle()))
  throwReported(world)
  const totals = await bounded(
    CHECK_MS,
    'the check',
    check(world.server.url, world.origin, world.writers, 'rest'),
  )
  world.forwarder.forgetLost()
  return { faults, totals }
}

/** Server, network and each writer have their faults side by side. */
async function strike(world: World, random: Random, struck: string[]): Promise<void> {
  const { server, forwarder, writers } = world
  const durationMs = random.int(800, 1800)
  const start = world.startWriter.bind(world)
  const kinds = [
    { faults: serverFaults(server), probability: 0.8 },
    { faults: networkFaults(forwarder), probability: 0.6 },
    ...writers.map(writer => ({ faults: writerFaults(writer, forwarder, start), probability: 0.5 })),
  ]
  await Promise.all(
    kinds.map(async ({ faults, probability }) => {
      const own = random.fork()
      if (own.chance(probability)) await strikeAtRandom(faults, own, durationMs, struck)
    }),
  )
}

/** What is acknowledged must be in the database or in a spool also without any writer that could still mend it. */
async function checkKilled(world: World, random: Random, faults: string[]): Promise<void> {
  faults.push('kill -9 of all writers')
  await Promise.all(world.writers.map(writer => writer.kill()))
  throwReported(world)
  await bounded(CHECK_MS, 'the check', check(world.server.url, world.origin, world.writers, 'killed'))
  for (const writer of world.writers) world.startWriter(writer, random)
}

function throwReported(world: World): void {
  if (world.violations.length > 0) throw new Violation('writers reported violations', world.violations)
}
