/** Arbitrary JSON texts that PostgreSQL accepts, and a slow reading of docs/audit-chain.md that shares nothing with ours. */
import fc from 'fast-check'

/** `\u0000` has no place in a `jsonb`, and half a surrogate pair has none in UTF-8. */
const storableString = fc
  .string({
    unit: fc.constantFrom(
      'a',
      'b',
      '"',
      '\\',
      '/',
      '\b',
      '\t',
      '\n',
      '\f',
      '\r',
      '\u0001',
      '\u001f',
      '\u007f',
      '\u00e9',
      '\u2028',
      '\ufb33',
      '\uffff',
      '\u{1f600}',
      '\u{10ffff}',
    ),
  })
  .map(text => text.replaceAll('\0', ''))

const anyStorableString = fc.oneof(
  storableString,
  fc.string({ unit: 'binary' }).map(text => text.replaceAll('\0', '')),
  fc.constantFrom('', '__proto__', 'constructor', 'toString', '1', '10', '2'),
)

/** The same string in one of its many notations. */
const stringToken = fc
  .tuple(anyStorableString, fc.boolean(), fc.boolean())
  .map(([text, escapeAll, slash]) => {
    if (escapeAll)
      return `"${Array.from({ length: text.length }, (_, index) => `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`).join('')}"`
    const token = JSON.stringify(text)
    return slash ? token.replaceAll('/', '\\/') : token
  })

const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 25 })

const numberToken = fc
  .record({
    sign: fc.constantFrom('', '-'),
    whole: fc.oneof(
      fc.constant('0'),
      digits.map(text => text.replace(/^0+(?=\d)/, '')),
    ),
    fraction: fc.option(digits, { nil: undefined }),
    exponent: fc.option(fc.tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.nat(400)), {
      nil: undefined,
    }),
  })
  .map(
    ({ sign, whole, fraction, exponent }) =>
      `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${exponent ? exponent.join('') : ''}`,
  )

const space = fc.constantFrom('', '', ' ', '\n', '\t', '\r\n ')

/** Texts with white space, escapes, members that stand twice, and numbers in every notation. */
export const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small', withCrossShrink: true },
    fc.oneof(stringToken, numberToken, fc.constantFrom('true', 'false', 'null')),
    fc
      .tuple(space, fc.array(fc.tuple(tie('value'), space), { maxLength: 6 }))
      .map(
        ([before, elements]) =>
          `[${before}${elements.map(([value, after]) => `${value}${after}`).join(',')}]`,
      ),
    fc
      .tuple(space, fc.array(fc.tuple(stringToken, space, tie('value'), space), { maxLength: 8 }))
      .map(
        ([before, members]) =>
          `{${before}${members.map(([name, gap, value, after]) => `${name}${gap}:${gap}${value}${after}`).join(`,${before}`)}}`,
      ),
  ),
})).value

class NumberToken {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * The canonical text, by way of the values: recursive, slow, and plain to compare with the specification. Strings go through the
 * parser as hexadecimal digits: V8 13.6 can read the name `"\\n"` as a backslash, when an object with that name came before.
 */
export function canonicalTextOf(json: string): string {
  const withoutEscapes = json.replace(
    /"(?:[^"\\]|\\.)*"/g,
    token => `"${unitsOf(String(JSON.parse(token)))}"`,
  )
  const value: unknown = JSON.parse(
    withoutEscapes,
    (_name, parsed: unknown, context?: { source?: string }) =>
      typeof parsed === 'number' ? new NumberToken(context?.source ?? '') : parsed,
  )
  return write(value)
}

function write(value: unknown): string {
  if (value instanceof NumberToken) return withoutExponent(value.text)
  if (typeof value === 'string') return writeString(value)
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([name, member]) => ({ name, text: write(member) }))
  // Four digits a unit, so this is the order of the units.
  members.sort((a, b) => (a.name < b.name ? -1 : 1))
  return `{${members.map(({ name, text }) => `${writeString(name)}:${text}`).join(',')}}`
}

function unitsOf(text: string): string {
  return Array.from({ length: text.length }, (_, index) =>
    text.charCodeAt(index).toString(16).padStart(4, '0'),
  ).join('')
}

function writeString(units: string): string {
  const codes = (units.match(/..../g) ?? []).map(digits => Number.parseInt(digits, 16))
  return JSON.stringify(String.fromCharCode(...codes))
}

/** A number as `numeric` prints it: the point is moved, digits after it stay. */
function withoutExponent(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const exponent = Number(exponentText)
  const scale = Math.max(fraction.length - exponent, 0)
  const all = `${whole}${fraction}${'0'.repeat(Math.max(exponent - fraction.length, 0))}`
  const padded = all.padStart(scale + 1, '0')
  const before = padded.slice(0, padded.length - scale).replace(/^0+(?=\d)/, '')
  const after = scale > 0 ? `.${padded.slice(padded.length - scale)}` : ''
  return /[1-9]/.test(all) ? `${sign}${before}${after}` : `${before}${after}`
}
