/** Canonical JSON in two thirds of the time, for what most payloads look like. */

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?)$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON has no control characters in strings
const ESCAPED = /[\0-\x1f\\]/

const DEEPEST = 64
/** They are ordered by insertion, which is quicker for few. */
const MOST_MEMBERS = 16

/**
 * The canonical form of a text that is plain: spaced as PostgreSQL prints a `jsonb` value, without escapes, not deep, and with few
 * members in each object. `undefined` for any other text, JSON or not.
 */
export function canonicalPlainJson(text: string): string | undefined {
  return ESCAPED.test(text) ? undefined : new PlainReader(text).read()
}

class PlainReader {
  readonly #text: string
  /** Infinite once something was met that is not plain: nothing stands there. */
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): string | undefined {
    const value = this.#readValue(0)
    return this.#at === this.#text.length ? value : undefined
  }

  #readValue(depth: number): string {
    switch (this.#text.charCodeAt(this.#at)) {
      case QUOTE:
        return this.#readString()
      case OPEN_OBJECT:
        return depth < DEEPEST ? this.#readObject(depth) : this.#giveUp()
      case OPEN_LIST:
        return depth < DEEPEST ? this.#readList(depth) : this.#giveUp()
      default:
        return this.#readScalar()
    }
  }

  #readString(): string {
    const start = this.#at
    const end = this.#text.indexOf('"', start + 1)
    if (end === -1) return this.#giveUp()
    this.#at = end + 1
    return this.#text.slice(start, end + 1)
  }

  #readScalar(): string {
    const text = this.#text
    const start = this.#at
    let end = start
    let isDigits = true
    for (; end < text.length; end++) {
      const unit = text.charCodeAt(end)
      if (unit >= ZERO && unit <= NINE) continue
      if (unit === COMMA || unit === CLOSE_OBJECT || unit === CLOSE_LIST) break
      isDigits = false
    }
    this.#at = end
    const token = text.slice(start, end)
    const isNumber = isDigits && end > start && text.charCodeAt(start) !== ZERO
    return isNumber || SCALAR.test(token) ? token : this.#giveUp()
  }

  #readList(depth: number): string {
    this.#at++
    if (this.#text.charCodeAt(this.#at) === CLOSE_LIST) {
      this.#at++
      return '[]'
    }
    let list = `[${this.#readValue(depth + 1)}`
    while (!this.#passEnd(CLOSE_LIST)) list += `,${this.#readValue(depth + 1)}`
    return `${list}]`
  }

  #readObject(depth: number): string {
    this.#at++
    if (this.#text.charCodeAt(this.#at) === CLOSE_OBJECT) {
      this.#at++
      return '{}'
    }
    const names: string[] = []
    const values: string[] = []
    do {
      names.push(this.#readName())
      values.push(this.#readValue(depth + 1))
    } while (!this.#passEnd(CLOSE_OBJECT))
    if (names.length > MOST_MEMBERS) return this.#giveUp()
    orderMembers(names, values)
    let object = `{"${names[0]}":${values[0]}`
    for (let index = 1; index < names.length; index++) object += `,"${names[index]}":${values[index]}`
    return `${object}}`
  }

  /** A name with the colon and the space after it, without its quotes. */
  #readName(): string {
    const text = this.#text
    const start = this.#at
    const end = text.indexOf('"', start + 1)
    const isName =
      end !== -1 &&
      text.charCodeAt(start) === QUOTE &&
      text.charCodeAt(end + 1) === COLON &&
      text.charCodeAt(end + 2) === SPACE
    if (!isName) return this.#giveUp()
    this.#at = end + 3
    return text.slice(start + 1, end)
  }

  /** Passes what stands behind a value. Whether its container ends there. */
  #passEnd(close: number): boolean {
    const unit = this.#text.charCodeAt(this.#at)
    if (unit === COMMA && this.#text.charCodeAt(this.#at + 1) === SPACE) {
      this.#at += 2
      return false
    }
    if (unit === close) this.#at++
    else this.#giveUp()
    return true
  }

  #giveUp(): string {
    this.#at = Number.POSITIVE_INFINITY
    return ''
  }
}

/** `<` on strings compares UTF-16 code units. */
function orderMembers(names: string[], values: string[]): void {
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
