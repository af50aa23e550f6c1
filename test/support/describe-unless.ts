import { describe, type TestOptions } from 'vitest'

/**
 * Tests that need something which not every machine has.
 * Where it is missing they are skipped, and the title and the output of the run say why.
 */
export function describeUnless(
  missing: string | undefined,
  title: string,
  tests: () => void,
  options: TestOptions = {},
): void {
  if (missing === undefined) {
    describe(title, options, tests)
  } else {
    console.warn(`skipped: ${title}: ${missing}`)
    describe.skip(`${title} (${missing})`, options, tests)
  }
}
