import type { TextOutput } from './command-context.ts'

/** A line on a terminal that is written over and over. Where stderr is no terminal it stays silent. */
export class ProgressLine {
  readonly #output: TextOutput
  #isShown = false

  constructor(output: TextOutput) {
    this.#output = output
  }

  show(text: string): void {
    if (!this.#output.isTTY) return
    this.#output.write(`\r\u001b[K${text.slice(0, (this.#output.columns ?? 80) - 1)}`)
    this.#isShown = true
  }

  clear(): void {
    if (this.#isShown) this.#output.write('\r\u001b[K')
    this.#isShown = false
  }
}
