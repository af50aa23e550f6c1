/** What a process found that followed alerts with several tails. */
export interface FollowResult {
  /** How many alerts each tail got. */
  readonly delivered: readonly number[]
  /** When the first tail got the sampled ones, in milliseconds of the clock of this machine. */
  readonly deliveredAt: Readonly<Record<string, number>>
}

/** One in 16, by random ids. */
export function isSampled(alertId: string): boolean {
  return alertId.startsWith('0')
}

/** @throws when it is not what `follow-alerts.ts` prints. */
export function parseFollowResult(text: string): FollowResult {
  const value: unknown = JSON.parse(text)
  if (isFollowResult(value)) return value
  throw new Error(`not what tails print: ${text.slice(0, 200)}`)
}

function isFollowResult(value: unknown): value is FollowResult {
  return (
    typeof value === 'object' &&
    value !== null &&
    'delivered' in value &&
    Array.isArray(value.delivered) &&
    value.delivered.every(count => typeof count === 'number') &&
    'deliveredAt' in value &&
    typeof value.deliveredAt === 'object' &&
    value.deliveredAt !== null &&
    Object.values(value.deliveredAt).every(time => typeof time === 'number')
  )
}
