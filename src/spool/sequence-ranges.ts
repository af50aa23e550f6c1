export interface SequenceRange {
  readonly first: number
  /** Included. */
  readonly last: number
}

/** The same numbers as the fewest ranges: what is removed was usually appended together. */
export function toRanges(sequences: readonly number[]): readonly SequenceRange[] {
  const ranges: { first: number; last: number }[] = []
  for (const sequence of sequences.toSorted((a, b) => a - b)) {
    const range = ranges.at(-1)
    if (range !== undefined && sequence <= range.last + 1) range.last = sequence
    else ranges.push({ first: sequence, last: sequence })
  }
  return ranges
}
