const LARGEST_DISTANCE = 3

/** The name closest to a misspelt one, or `undefined` when none is near. Case does not count. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  let nearest: string | undefined
  let smallest = Math.min(LARGEST_DISTANCE, Math.ceil(given.length / 2)) + 1
  for (const name of names) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance < smallest) {
      smallest = distance
      nearest = name
    }
  }
  return nearest
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substituted = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(substituted, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
