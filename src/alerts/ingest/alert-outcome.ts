import type { TripwireStorageError } from '../../errors.ts'

/** Where a taken alert is now. Each of these is durable. */
export type AlertOutcome =
  | { readonly kind: 'stored' | 'duplicate' | 'spooled' }
  | { readonly kind: 'deadLettered'; readonly error: TripwireStorageError }
