import { derivedAlertId } from '../sensors/derived-alert-id.ts'

/** How many different events are remembered. Equal events of one tick of a clock stand close together in a log. */
const MOST_REMEMBERED = 65_536

/**
 * Gives equal events of one input different ids: the first keeps the id derived from its content, the second and each
 * further one gets an id derived from that and its number. So reading the input again gives the same ids again.
 *
 * Memory is bounded: an event that comes again after 65,536 different others counts as the first one, delivered twice.
 */
export class OccurrenceCounter {
  /** In the order of the last occurrence, oldest first. */
  readonly #occurrences = new Map<string, number>()

  idOfNext(contentId: string): string {
    const earlier = this.#occurrences.get(contentId) ?? 0
    this.#occurrences.delete(contentId)
    this.#occurrences.set(contentId, earlier + 1)
    if (this.#occurrences.size > MOST_REMEMBERED) this.#forgetOldest()
    return earlier === 0 ? contentId : derivedAlertId('occurrence', [contentId, String(earlier)])
  }

  #forgetOldest(): void {
    for (const oldest of this.#occurrences.keys()) {
      this.#occurrences.delete(oldest)
      return
    }
  }
}
