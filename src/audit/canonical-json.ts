/** The one form of a payload that is hashed: docs/audit-chain.md, "Canonical JSON". */
import { TripwireStorageError } from '../errors.ts'

const TAB = 0x09
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** true, false, null, and the numbers of JSON in any notation. */
const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/

interface Member {
  /** Without quotes and escapes: what the members are ordered by. */
  readonly name: string
  /** Name and value in canonical form. */
  text: string
}

/** A list or an object whose end was not reached yet. */
interface Container {
  /** Absent: it is a list. */
  readonly members: Member[] | undefined
  /** The canonical elements of a list so far. */
  elements: string
}

/**
 * The canonical form of a JSON document, as PostgreSQL prints a `jsonb` value: members ordered by the UTF-16 code units of their
 * names, no white space, strings with the shortest escapes. The digits of numbers stay. In time that grows with the length
 * of the text, and at any depth.
 * @throws TripwireStorageError MALFORMED_ROW when the text is not one JSON document.
 */
export function canonicalJson(jsonbText: string): string {
  return new Canonicalizer(jsonbText).run()
}

class Canonicalizer {
  readonly #text: string
  #at = 0
  /** From the outermost to the innermost. PostgreSQL takes several thousand levels, more than the call stack may hold. */
  readonly #open: Container[] = []

  constructor(text: string) {
    this.#text = text
  }

  run(): string {
    for (;;) {
      const value = this.#readUpToValue()
      const document = this.#take(value)
      if (document !== undefined) {
        if (this.#at < this.#text.length) this.#refuse()
        return document
      }
    }
  }

  /** Opens containers until there is a whole value: a string, a scalar, or an empty container. */
  #readUpToValue(): string {
    for (;;) {
      switch (this.#peek()) {
        case OPEN_OBJECT:
          this.#at++
          if (this.#peek() === CLOSE_OBJECT) {
            this.#at++
            return '{}'
          }
          this.#openObject()
          break
        case OPEN_LIST:
          this.#at++
          if (this.#peek() === CLOSE_LIST) {
            this.#at++
            return '[]'
          }
          this.#open.push({ members: undefined, elements: '' })
          break
        case QUOTE:
          return this.#readString()
        default:
          return this.#readScalar()
      }
    }
  }

  /** Hands a value to the container that it stands in, and closes those that end after it. The document, once it is whole. */
  #take(value: string): string | undefined {
    let whole = value
    for (;;) {
      const container = this.#open.at(-1)
      const next = this.#peek()
      if (container === undefined) return whole
      const { members } = container
      if (members === undefined) container.elements += container.elements === '' ? whole : `,${whole}`
      else appendToLast(members, whole)
      this.#at++
      if (next === COMMA) {
        if (members) this.#readName(members)
        return undefined
      }
      if (next !== (members ? CLOSE_OBJECT : CLOSE_LIST)) this.#refuse()
      this.#open.pop()
      whole = members ? joinMembers(members) : `[${container.elements}]`
    }
  }

  #openObject(): void {
    const members: Member[] = []
    this.#open.push({ members, elements: '' })
    this.#readName(members)
  }

  #readName(members: Member[]): void {
    if (this.#peek() !== QUOTE) this.#refuse()
    const token = this.#readString()
    if (this.#peek() !== COLON) this.#refuse()
    this.#at++
    const name = token.includes('\\') ? String(JSON.parse(token)) : token.slice(1, -1)
    members.push({ name, text: `${token}:` })
  }

  /** The string that begins here, in canonical form. */
  #readString(): string {
    const start = this.#at
    let end = this.#text.indexOf('"', start + 1)
    while (end !== -1 && this.#isEscaped(end, start)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) this.#refuse()
    this.#at = end + 1
    const token = this.#text.slice(start, end + 1)
    // PostgreSQL writes the canonical escapes already; another writer of JSON need not.
    return token.includes('\\') ? JSON.stringify(this.#parseString(token)) : token
  }

  #isEscaped(quote: number, start: number): boolean {
    let backslashes = 0
    while (quote - backslashes - 1 > start && this.#text.charCodeAt(quote - backslashes - 1) === BACKSLASH)
      backslashes++
    return backslashes % 2 === 1
  }

  #parseString(token: string): unknown {
    try {
      return JSON.parse(token)
    } catch (cause) {
      this.#refuse(cause)
    }
  }

  #readScalar(): string {
    const start = this.#at
    while (this.#at < this.#text.length && !endsScalar(this.#text.charCodeAt(this.#at))) this.#at++
    const token = this.#text.slice(start, this.#at)
    if (!SCALAR.test(token)) this.#refuse()
    return token
  }

  /** The next code unit that is not white space; NaN at the end. */
  #peek(): number {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at)
      if (unit !== SPACE && unit !== LINE_FEED && unit !== TAB && unit !== CARRIAGE_RETURN) return unit
      this.#at++
    }
  }

  #refuse(cause?: unknown): never {
    throw new TripwireStorageError('MALFORMED_ROW', `a payload is not JSON, near character ${this.#at}`, {
      cause,
    })
  }
}

function endsScalar(unit: number): boolean {
  return (
    unit === COMMA ||
    unit === CLOSE_OBJECT ||
    unit === CLOSE_LIST ||
    unit === SPACE ||
    unit === LINE_FEED ||
    unit === TAB ||
    unit === CARRIAGE_RETURN
  )
}

function appendToLast(members: Member[], value: string): void {
  const last = members.at(-1)
  if (last) last.text += value
}

function joinMembers(members: Member[]): string {
  if (!areOrdered(members)) members.sort(compareNames)
  let text = ''
  // Not by join, which would copy what is inside once a level.
  for (const member of members) text += text === '' ? member.text : `,${member.text}`
  return `{${text}}`
}

function areOrdered(members: readonly Member[]): boolean {
  let previous: Member | undefined
  for (const member of members) {
    if (previous && previous.name > member.name) return false
    previous = member
  }
  return true
}

/** `<` on strings compares UTF-16 code units. */
function compareNames(a: Member, b: Member): number {
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}
