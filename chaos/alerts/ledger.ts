/**
 * What a writer sent and what was acknowledged, in a file that survives the kill of the writer: what `writeSync` has
 * handed to the system stays there. A line is `<milliseconds> <event> <number> <number> …;`. A line that a kill
 * cut short has no semicolon and does not count.
 */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'

/** The outcomes of `insertAlerts`; `flushed` and `closed`: the flush, or the close, after the alert was taken succeeded. */
export const RECEIPTS = ['stored', 'duplicate', 'spooled', 'rejected', 'flushed', 'closed'] as const
export type Receipt = (typeof RECEIPTS)[number]

export interface LedgerEntry {
  /** In the order in which they came; empty when the alert was sent and never acknowledged. */
  readonly receipts: readonly Receipt[]
}

export class Ledger {
  readonly #descriptor: number

  constructor(path: string) {
    this.#descriptor = openSync(path, 'a')
    // Ends a line that a kill may have cut short.
    writeSync(this.#descriptor, '\n')
  }

  sending(numbers: readonly number[]): void {
    this.#write('sending', numbers)
  }

  acknowledged(receipt: Receipt, numbers: readonly number[]): void {
    this.#write(receipt, numbers)
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #write(event: string, numbers: readonly number[]): void {
    if (numbers.length > 0) writeSync(this.#descriptor, `${Date.now()} ${event} ${numbers.join(' ')};\n`)
  }
}

const LINE = /^\d+ ([a-z]+) ([\d ]+);$/

/** Every number that was ever sent. */
export function readLedger(path: string): ReadonlyMap<number, LedgerEntry> {
  const entries = new Map<number, { receipts: Receipt[] }>()
  for (const [event, numbers] of readLines(path)) {
    const receipt = RECEIPTS.find(name => name === event)
    for (const number of numbers) {
      const entry = entries.get(number) ?? { receipts: [] }
      entries.set(number, entry)
      if (receipt) entry.receipts.push(receipt)
    }
  }
  return entries
}

/** The lines about one alert, to look into what happened. */
export function historyOf(path: string, number: number): readonly string[] {
  if (!existsSync(path)) return []
  const word = new RegExp(`[a-z] (?:.* )?${number}[ ;]`)
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => word.test(line))
    .map(line => line.split(' ').slice(0, 2).join(' '))
}

function* readLines(path: string): Generator<readonly [string, readonly number[]]> {
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = LINE.exec(line)
    if (match) yield [match[1] ?? '', (match[2] ?? '').split(' ').map(Number)]
  }
}
