/**
 * The source text of one member of a JSON object, digits, white space and all; `undefined` when there is no such
 * member. Of several members with the same key the last one counts, as in `JSON.parse`.
 *
 * ```ts
 * rawMember('{"id": 9007199254740993}', 'id') // '9007199254740993'
 * ```
 * @param text A valid JSON document that is an object: the caller has run `JSON.parse` over it.
 */
export function rawMember(text: string, key: string): string | undefined {
  let found: string | undefined
  let position = skipWhiteSpace(text, skipWhiteSpace(text, 0) + 1)
  while (text[position] === '"') {
    const keyEnd = endOfString(text, position)
    const colon = skipWhiteSpace(text, keyEnd)
    const start = skipWhiteSpace(text, colon + 1)
    const end = endOfValue(text, start)
    if (decodeString(text.slice(position, keyEnd)) === key) found = text.slice(start, end)
    const comma = skipWhiteSpace(text, end)
    position = skipWhiteSpace(text, comma + 1)
  }
  return found
}

const WHITE_SPACE = ' \t\n\r'
const AFTER_SCALAR = ',}]' + WHITE_SPACE

function skipWhiteSpace(text: string, from: number): number {
  let position = from
  while (position < text.length && WHITE_SPACE.includes(text.charAt(position))) position++
  return position
}

function decodeString(source: string): unknown {
  return source.includes('\\') ? JSON.parse(source) : source.slice(1, -1)
}

/** The position after the closing quote of the string that opens at `from`. */
function endOfString(text: string, from: number): number {
  let position = from + 1
  while (position < text.length && text[position] !== '"') position += text[position] === '\\' ? 2 : 1
  return position + 1
}

function endOfValue(text: string, from: number): number {
  const first = text[from]
  if (first === '"') return endOfString(text, from)
  if (first === '{' || first === '[') return endOfContainer(text, from)
  let position = from
  while (position < text.length && !AFTER_SCALAR.includes(text.charAt(position))) position++
  return position
}

/** Counts brackets instead of recursing, so that no depth of nesting overflows the stack. */
function endOfContainer(text: string, from: number): number {
  let depth = 0
  let position = from
  while (position < text.length) {
    const character = text[position]
    if (character === '"') {
      position = endOfString(text, position)
      continue
    }
    if (character === '{' || character === '[') depth++
    if (character === '}' || character === ']') depth--
    position++
    if (depth === 0) break
  }
  return position
}
