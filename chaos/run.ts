import { type RoundReport, runRound } from './round.ts'
import type { ChaosOptions } from './support/options.ts'
import { Random } from './support/random.ts'
import { Violation } from './support/violation.ts'
import { World } from './world.ts'

/** The checks read all that is stored, so the tables are emptied from time to time. */
const ROUNDS_A_GENERATION = 5

/** @returns whether all rounds passed. */
export async function runChaos({ rounds, firstSeed, keep }: ChaosOptions): Promise<boolean> {
  const world = new World()
  const stopBySignal = () => {
    void world.abort().finally(() => {
      if (!keep) world.removeFolder()
      process.exit(130)
    })
  }
  process.once('SIGINT', stopBySignal)
  process.once('SIGTERM', stopBySignal)
  // Should nothing else work any more, the writers at least do not outlive this process.
  process.once('exit', () => {
    for (const writer of world.writers) writer.killNow()
  })
  const startedAt = performance.now()
  let passed = false
  try {
    await world.start(new Random(firstSeed))
    passed = await runRounds(world, rounds, firstSeed)
    if (passed) await world.end()
  } catch (error) {
    passed = false
    printFailure(error)
  } finally {
    await world.abort()
    process.off('SIGINT', stopBySignal)
    process.off('SIGTERM', stopBySignal)
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  print(passed ? `${rounds} rounds passed in ${seconds} s` : `FAILED after ${seconds} s`)
  if (passed && !keep) world.removeFolder()
  else print(`the database, the spools, the ledgers and the logs of the writers: ${world.folder}`)
  return passed
}

async function runRounds(world: World, rounds: number, firstSeed: number): Promise<boolean> {
  for (let round = 1; round <= rounds; round++) {
    const seed = firstSeed + round - 1
    const random = new Random(seed)
    const startedAt = performance.now()
    const faults: string[] = []
    const head = () =>
      `round ${round}, seed ${seed}, ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${faults.join(', ')}`
    try {
      const report = await runRound(world, random, faults)
      print(`${head()}; ${describe(report)}; passed`)
      if (round < rounds) await goOn(world, random, round)
    } catch (error) {
      print(`${head()}; FAILED`)
      printFailure(error)
      return false
    }
  }
  return true
}

async function goOn(world: World, random: Random, round: number): Promise<void> {
  if (round % ROUNDS_A_GENERATION === 0) await world.startAnew(random)
  else for (const writer of world.writers) writer.produce()
}

function describe({ totals }: RoundReport): string {
  const { sent, acknowledged, duplicates, spooled } = totals
  return `${sent} sent, ${acknowledged} acknowledged, ${duplicates} duplicates, ${spooled} spooled`
}

function printFailure(error: unknown): void {
  if (error instanceof Violation) {
    print(`VIOLATION ${error.message}`)
    for (const detail of error.details) print(`  ${detail}`)
  } else {
    print(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
