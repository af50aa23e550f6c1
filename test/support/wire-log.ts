import type { Side, WireMessage } from './wire-messages.ts'

interface Entry {
  readonly connection: number
  readonly from: Side
  readonly message: WireMessage | 'proxy'
  readonly text: string | undefined
  count: number
}

const MAX_ENTRIES = 1000
const MAX_TEXT = 120

/** A short record for the reader of a failing test. Messages of one kind in a row take one line. */
export class WireLog {
  readonly #entries: Entry[] = []

  add(connection: number, from: Side, message: WireMessage | 'proxy', text?: string): void {
    const last = this.#entries.at(-1)
    if (last !== undefined && text === undefined && last.text === undefined) {
      if (last.connection === connection && last.from === from && last.message === message) {
        last.count++
        return
      }
    }
    this.#entries.push({ connection, from, message, text: text?.slice(0, MAX_TEXT), count: 1 })
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift()
  }

  lines(): readonly string[] {
    return this.#entries.map(
      ({ connection, from, message, text, count }) =>
        `#${connection} ${message === 'proxy' ? '' : from + ' '}${message}` +
        `${count > 1 ? ` ×${count}` : ''}${text === undefined ? '' : `: ${text}`}`,
    )
  }
}
