/** Something that must not happen whatever is killed: a lost alert, a wrong count, a call that never ends. */
export class Violation extends Error {
  readonly details: readonly string[]

  constructor(message: string, details: readonly string[] = []) {
    super(message)
    this.name = 'Violation'
    this.details = details
  }
}
