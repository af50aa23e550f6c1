const CONTEXT_LINES = 3
const MOST_LINES = 12

/** The first place where two texts differ, in the manner of a unified diff, or `undefined` when they are equal. */
export function firstDifference(expected: string, actual: string): string | undefined {
  if (expected === actual) return undefined
  const before = expected.split('\n')
  const after = actual.split('\n')
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end++
  }
  const from = Math.max(0, start - CONTEXT_LINES)
  return [
    `@@ line ${start + 1} @@`,
    ...before.slice(from, start).map(line => ` ${line}`),
    ...excerpt(before.slice(start, before.length - end), '-'),
    ...excerpt(after.slice(start, after.length - end), '+'),
  ].join('\n')
}

function excerpt(lines: readonly string[], sign: string): readonly string[] {
  const shown = lines.slice(0, MOST_LINES).map(line => sign + line)
  return lines.length <= MOST_LINES
    ? shown
    : [...shown, `${sign}… and ${lines.length - MOST_LINES} lines more`]
}
