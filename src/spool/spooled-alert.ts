import type { AcceptedAlert } from '../model/accepted-alert.ts'

/**
 * An alert that was acknowledged before it was in the database. `receivedAt` is the time of the acknowledgement; with it and
 * `alertId` the alert may be sent to the database any number of times and is stored once.
 */
export type SpooledAlert = AcceptedAlert & { readonly receivedAt: string }
