import { Ledger, type Receipt, readLedger } from '../alerts/ledger.ts'
import type { Random } from '../support/random.ts'

const DATABASE_RECEIPTS: ReadonlySet<Receipt> = new Set(['stored', 'duplicate'])

/** The alerts of one writer, over all its lives: which are on their way, which are to be sent again, which are acknowledged. */
export class SentAlerts {
  readonly #ledger: Ledger
  readonly #toSendAgain: number[] = []
  readonly #acknowledged: number[] = []
  readonly #isAcknowledged = new Set<number>()
  readonly #inDatabase = new Set<number>()
  #unacknowledged = 0
  #next: number

  constructor(ledgerPath: string, firstNumber: number) {
    this.#next = firstNumber
    for (const [number, { receipts }] of readLedger(ledgerPath)) {
      this.#next = Math.max(this.#next, number + 1)
      if (receipts.length === 0) {
        this.#toSendAgain.push(number)
        this.#unacknowledged++
      }
      for (const receipt of receipts) this.#note(number, receipt)
    }
    this.#ledger = new Ledger(ledgerPath)
  }

  /** How many were sent and have no acknowledgement yet. */
  get unacknowledged(): number {
    return this.#unacknowledged
  }

  /** New alerts. They are in the ledger before anything else happens to them. */
  create(count: number): readonly number[] {
    const numbers = Array.from({ length: count }, () => this.#next++)
    this.#ledger.sending(numbers)
    this.#unacknowledged += count
    return numbers
  }

  /** Alerts whose sending failed, in this life or in an earlier one. */
  takeForSendingAgain(most: number): readonly number[] {
    return this.#toSendAgain.splice(0, most)
  }

  /** The sending failed, and what became of these alerts is not known. */
  sendAgain(numbers: readonly number[]): void {
    this.#toSendAgain.push(...numbers.filter(number => !this.#isAcknowledged.has(number)))
  }

  acknowledge(receipt: Receipt, numbers: readonly number[]): void {
    this.#ledger.acknowledged(receipt, numbers)
    for (const number of numbers) {
      if (!this.#isAcknowledged.has(number)) this.#unacknowledged--
      this.#note(number, receipt)
    }
  }

  isAcknowledged(number: number): boolean {
    return this.#isAcknowledged.has(number)
  }

  /** Whether the database has said that it holds the alert. */
  isInDatabase(number: number): boolean {
    return this.#inDatabase.has(number)
  }

  /** Acknowledged alerts, to be sent once more. Each at most once. */
  pickAcknowledged(random: Random, count: number): readonly number[] {
    const picked = new Set<number>()
    for (let turn = 0; turn < count; turn++) {
      const number = this.#acknowledged[random.int(0, this.#acknowledged.length - 1)]
      if (number !== undefined) picked.add(number)
    }
    return [...picked]
  }

  close(): void {
    this.#ledger.close()
  }

  #note(number: number, receipt: Receipt): void {
    if (!this.#isAcknowledged.has(number)) this.#acknowledged.push(number)
    this.#isAcknowledged.add(number)
    if (DATABASE_RECEIPTS.has(receipt)) this.#inDatabase.add(number)
  }
}
