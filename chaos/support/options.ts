import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run chaos -- [options]

  --rounds N   how many rounds; defaults to 20, or to 1 with --seed
  --seed S     the seed of the first round; the next ones have S + 1, S + 2 …
  --keep       keeps the folder with the database, the spools and the ledgers
  --help

Kills, freezes and restarts a PostgreSQL and the processes that write alerts to it, and checks after each round
that every acknowledged alert is stored once. Exits with 1 at the first violation. Linux and macOS.`

export class UsageError extends Error {}

export interface ChaosOptions {
  readonly rounds: number
  readonly firstSeed: number
  readonly keep: boolean
  readonly help: boolean
}

const DEFAULT_ROUNDS = 20
const SEEDS = 2 ** 31

/** @throws UsageError */
export function readOptions(args: readonly string[]): ChaosOptions {
  const { rounds, seed, keep, help } = parse(args)
  return {
    rounds: rounds === undefined ? (seed === undefined ? DEFAULT_ROUNDS : 1) : wholeNumber('rounds', rounds),
    firstSeed: seed === undefined ? randomInt(SEEDS) : wholeNumber('seed', seed),
    keep: keep ?? false,
    help: help ?? false,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        seed: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new UsageError(`--${name}: expected a whole number, got ${JSON.stringify(text)}`)
  }
  return number
}
