import type { Details, Finding } from './diagnosis.ts'

export type NewFinding = Omit<Finding, 'name' | 'details'> & { readonly details?: Details }

/** What a check found out. Where it cannot find out, it throws a TripwireStorageError, or says so. */
export interface CheckOutcome {
  readonly message: string
  readonly findings?: readonly NewFinding[]
  readonly details?: Details
  readonly isUnchecked?: boolean
}

/** `3 months`, `1 month`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? singular : plural}`
}

/** A count that was not carried on beyond a limit. */
export function countedUpTo(count: number, limit: number, singular: string, plural?: string): string {
  return count > limit ? `more than ${counted(limit, singular, plural)}` : counted(count, singular, plural)
}
