/** The one form of a payload that is hashed: docs/audit-chain.md, "Canonical JSON". */
import { TripwireStorageError } from '../errors.ts'
import { canonicalPlainJson } from './plain-json.ts'

const TAB = 0x09
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** true, false, null, and the numbers of JSON in any notation. */
const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/

/** What PostgreSQL writes no other way than we do, so that such strings need not be looked into. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has no control characters in strings
const NEEDS_LOOK = /[\0-\x1f\\]/

/** The most members that are ordered by insertion, which is quicker for few. */
const FEW_MEMBERS = 16

/** A list or an object whose end was not reached yet. */
interface Container {
  /** The names of an object's members, without quotes and escapes; absent: it is a list. */
  readonly names: string[] | undefined
  /** The canonical values so far. */
  readonly values: string[]
}

/**
 * The canonical form of a JSON document, as PostgreSQL prints a `jsonb` value: members ordered by the UTF-16 code units of their
 * names, no white space, strings with the shortest escapes. The digits of numbers stay. At any depth, and but for the order of
 * members in time that grows with the length of the text.
 * @throws TripwireStorageError MALFORMED_ROW when the text is not one JSON document.
 */
export function canonicalJson(jsonbText: string): string {
  return canonicalPlainJson(jsonbText) ?? new Canonicalizer(jsonbText).run()
}

class Canonicalizer {
  readonly #text: string
  #at = 0
  readonly #needsLook: boolean
  /** From the outermost to the innermost. PostgreSQL takes several thousand levels, more than the call stack may hold. */
  readonly #open: Container[] = []

  constructor(text: string) {
    this.#text = text
    this.#needsLook = NEEDS_LOOK.test(text)
  }

  run(): string {
    for (;;) {
      const document = this.#hand(this.#readUpToValue())
      if (document === undefined) continue
      if (this.#at < this.#text.length) this.#refuse()
      return document
    }
  }

  /** Opens containers until there is a whole value: a string, a scalar, or an empty container. */
  #readUpToValue(): string {
    for (;;) {
      const unit = this.#peek()
      if (unit === QUOTE) return this.#readString()
      if (unit !== OPEN_OBJECT && unit !== OPEN_LIST) return this.#readScalar()
      this.#at++
      const isObject = unit === OPEN_OBJECT
      if (this.#peek() === (isObject ? CLOSE_OBJECT : CLOSE_LIST)) {
        this.#at++
        return isObject ? '{}' : '[]'
      }
      const container = { names: isObject ? [] : undefined, values: [] }
      this.#open.push(container)
      if (container.names) this.#readName(container.names)
    }
  }

  /** Hands a value to the container that it stands in, and closes those that end after it. The document, once it is whole. */
  #hand(value: string): string | undefined {
    let whole = value
    for (;;) {
      const unit = this.#peek()
      const container = this.#open.at(-1)
      if (container === undefined) return whole
      const { names, values } = container
      values.push(whole)
      this.#at++
      if (unit === COMMA) {
        if (names) this.#readName(names)
        return undefined
      }
      if (unit !== (names ? CLOSE_OBJECT : CLOSE_LIST)) this.#refuse()
      this.#open.pop()
      whole = names ? this.#joinMembers(names, values) : joinElements(values)
    }
  }

  #readName(names: string[]): void {
    if (this.#peek() !== QUOTE) this.#refuse()
    const token = this.#readString()
    if (this.#peek() !== COLON) this.#refuse()
    this.#at++
    names.push(this.#needsLook ? String(JSON.parse(token)) : token.slice(1, -1))
  }

  /** The string that begins here, in canonical form. */
  #readString(): string {
    const start = this.#at
    let end = this.#text.indexOf('"', start + 1)
    if (this.#needsLook) while (end !== -1 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) this.#refuse()
    const token = this.#text.slice(start, end + 1)
    if (this.#needsLook && NEEDS_LOOK.test(token)) return this.#rewriteString(token, end)
    this.#at = end + 1
    return token
  }

  /** Whether a quote inside of a string is part of it: behind an odd number of backslashes. */
  #isEscaped(quote: number): boolean {
    let before = quote - 1
    while (this.#text.charCodeAt(before) === BACKSLASH) before--
    return (quote - before) % 2 === 0
  }

  #rewriteString(token: string, end: number): string {
    try {
      const canonical = JSON.stringify(JSON.parse(token))
      this.#at = end + 1
      return canonical
    } catch (cause) {
      this.#refuse(cause)
    }
  }

  #readScalar(): string {
    const text = this.#text
    const start = this.#at
    let end = start
    let isDigits = true
    for (; end < text.length; end++) {
      const unit = text.charCodeAt(end)
      if (unit >= ZERO && unit <= NINE) continue
      if (unit === COMMA || unit === CLOSE_OBJECT || unit === CLOSE_LIST || unit <= SPACE) break
      isDigits = false
    }
    const token = text.slice(start, end)
    const isPlain = isDigits && end > start && text.charCodeAt(start) !== ZERO
    if (!isPlain && !SCALAR.test(token)) this.#refuse()
    this.#at = end
    return token
  }

  #joinMembers(names: string[], values: string[]): string {
    if (names.length <= FEW_MEMBERS) orderFewMembers(names, values)
    else orderManyMembers(names, values)
    let text = '{'
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? ''
      const token = this.#needsLook ? JSON.stringify(name) : `"${name}"`
      text += `${index === 0 ? '' : ','}${token}:${values[index]}`
    }
    return `${text}}`
  }

  /** The next code unit that is not white space; NaN at the end. */
  #peek(): number {
    const text = this.#text
    let at = this.#at
    let unit = text.charCodeAt(at)
    while (unit === SPACE || unit === LINE_FEED || unit === TAB || unit === CARRIAGE_RETURN)
      unit = text.charCodeAt(++at)
    this.#at = at
    return unit
  }

  #refuse(cause?: unknown): never {
    throw new TripwireStorageError('MALFORMED_ROW', `a payload is not JSON, near character ${this.#at}`, {
      cause,
    })
  }
}

/** Not by `join`, which would copy what is inside once a level. */
function joinElements(values: readonly string[]): string {
  let text = '['
  for (let index = 0; index < values.length; index++) text += `${index === 0 ? '' : ','}${values[index]}`
  return `${text}]`
}

/** `<` on strings compares UTF-16 code units. */
function orderFewMembers(names: string[], values: string[]): void {
  for (let index = 1; index < names.length; index++) {
    const name = names[index] ?? ''
    const value = values[index] ?? ''
    let place = index
    for (; place > 0; place--) {
      const before = names[place - 1] ?? ''
      if (before <= name) break
      names[place] = before
      values[place] = values[place - 1] ?? ''
    }
    names[place] = name
    values[place] = value
  }
}

function orderManyMembers(names: string[], values: string[]): void {
  const members = names.map((name, index) => ({ name, value: values[index] ?? '' }))
  members.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  for (const [index, member] of members.entries()) {
    names[index] = member.name
    values[index] = member.value
  }
}
