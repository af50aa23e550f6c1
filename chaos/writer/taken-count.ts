/**
 * How many alerts the store must say that it accepted, counted from the outside. A flush that fails and a call that is
 * refused can look alike, so there is a least and a most.
 */
export class TakenCount {
  #certain = 0
  #doubtful = 0

  certain(count: number): void {
    this.#certain += count
  }

  doubtful(count: number): void {
    this.#doubtful += count
  }

  fits(accepted: number): boolean {
    return accepted >= this.#certain && accepted <= this.#certain + this.#doubtful
  }

  toString(): string {
    return this.#doubtful === 0 ? `${this.#certain}` : `${this.#certain} to ${this.#certain + this.#doubtful}`
  }
}
