import type { TripwireStorageError } from '../errors.ts'

/** A line that became no alert, or an alert that was refused. */
export interface ImportProblem {
  readonly lineNumber: number
  readonly message: string
}

/**
 * What became of the lines so far. Empty lines are not counted. When the import is done
 * `lines = alerts + skipped + unreadable` and `alerts = stored + duplicates + refused`.
 */
export interface ImportReport {
  readonly lines: number
  /** Lines that were read as an alert. */
  readonly alerts: number
  readonly stored: number
  /** Alerts that were stored before, in this import or an earlier one. */
  readonly duplicates: number
  /** Alerts that the store did not take. Each is a problem. */
  readonly refused: number
  /** Lines that the format passes over on purpose. */
  readonly skipped: number
  /** `skipped` by reason. Beyond 100 different reasons the rest is counted under `other reasons`. */
  readonly skippedByReason: { readonly [reason: string]: number }
  /** Lines that could not be read. Each is a problem. */
  readonly unreadable: number
  /** The first 20 problems, in the order they were found. */
  readonly problems: readonly ImportProblem[]
  /** Hosts that were registered by this import. */
  readonly hosts: number
}

const MOST_PROBLEMS = 20
const MOST_REASONS = 100
const OTHER_REASONS = 'other reasons'

/** Counts while an import runs. */
export class ImportTally {
  lines = 0
  alerts = 0
  stored = 0
  duplicates = 0
  refused = 0
  hosts = 0
  #skipped = 0
  #unreadable = 0
  readonly #reasons = new Map<string, number>()
  readonly #problems: ImportProblem[] = []
  readonly #onProblem: (problem: ImportProblem) => void

  constructor(onProblem: (problem: ImportProblem) => void) {
    this.#onProblem = onProblem
  }

  addSkipped(reason: string): void {
    this.#skipped++
    const isListed = this.#reasons.has(reason) || this.#reasons.size < MOST_REASONS
    const counted = isListed ? reason : OTHER_REASONS
    this.#reasons.set(counted, (this.#reasons.get(counted) ?? 0) + 1)
  }

  addUnreadable(problem: ImportProblem): void {
    this.#unreadable++
    this.#addProblem(problem)
  }

  addRefused(problem: ImportProblem): void {
    this.refused++
    this.#addProblem(problem)
  }

  /** The counts as they stand. Later counting does not change it. */
  report(): ImportReport {
    return {
      lines: this.lines,
      alerts: this.alerts,
      stored: this.stored,
      duplicates: this.duplicates,
      refused: this.refused,
      skipped: this.#skipped,
      skippedByReason: Object.fromEntries(this.#reasons),
      unreadable: this.#unreadable,
      problems: [...this.#problems],
      hosts: this.hosts,
    }
  }

  #addProblem(problem: ImportProblem): void {
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(problem)
    this.#onProblem(problem)
  }
}

/** The message of an error with its hint. */
export function describeError(error: TripwireStorageError): string {
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`
}
