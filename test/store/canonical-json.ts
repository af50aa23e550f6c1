/**
 * The value of a JSON document in one form: keys sorted, strings unescaped, and numbers as `digits e exponent` without
 * zeros at either end, so that equal numbers are equal text and no digit is lost to a float.
 */
export function canonicalJson(text: string): string {
  const numbers: string[] = []
  const withMarks = text.replace(TOKEN, (token: string) => {
    if (token.startsWith('"')) return JSON.stringify({ text: JSON.parse(token) })
    numbers.push(canonicalNumber(token))
    return JSON.stringify({ number: numbers.at(-1) })
  })
  return JSON.stringify(sortKeys(JSON.parse(keysRestored(withMarks))))
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** A string before a colon is a key, which JSON does not let be an object. */
function keysRestored(text: string): string {
  return text.replace(/\{"text":("(?:[^"\\]|\\.)*")\}(?=\s*:)/g, '$1')
}

function canonicalNumber(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => [key, sortKeys(member)] as const)
  // As pairs, so that no key has a meaning of its own.
  return { members: entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) }
}
