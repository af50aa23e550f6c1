/**
 * How far a tail has come: pure, without the database. docs/design/alert-tail.md says why nothing is missed and nothing comes twice.
 */
import type { TransactionSnapshot } from './transaction-snapshot.ts'

/** Where an alert stands among those of its transaction, in rising order. The moment is text as the database gave it. */
export interface AlertPlace {
  readonly receivedAt: string
  readonly alertId: string
  readonly hostId: string
}

const LAST_UUID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** Behind every alert of a transaction that was received at a moment. */
export function behindMoment(receivedAt: string): AlertPlace {
  return { receivedAt, alertId: LAST_UUID, hostId: LAST_UUID }
}

export function isBehindMoment({ alertId, hostId }: AlertPlace): boolean {
  return alertId === LAST_UUID && hostId === LAST_UUID
}

/** A transaction of the journal. */
export interface JournalTransaction {
  readonly xid: bigint
  /** When it wrote one of its rows, to the microsecond: it tells this transaction from another one with the same number. */
  readonly writtenAt: string
}

/** A transaction is behind the position when its number is not above `newest`, and it is not one of `open`. */
export interface TailPosition {
  /**
   * The newest transaction of which alerts were delivered, or in whose place the tail began. It is durable, so no later transaction
   * will have a number up to this one, also after a crash. That holds for no number above.
   */
  readonly newest: JournalTransaction | { readonly xid: bigint; readonly writtenAt: null }
  /**
   * Those up to `newest` that had not ended when they were looked for, and `partial`. With `since`, also those above that had not ended
   * at the first look: they count whenever they wrote. In rising order.
   */
  readonly open: readonly bigint[]
  /** The transaction of which a part was delivered, and up to where. */
  readonly partial: { readonly xid: bigint; readonly after: AlertPlace } | null
  /** Of the others above `newest`, those alone count that were written from this moment on: while a tail that began with a time catches up. */
  readonly since: string | null
}

/** Behind everything that a snapshot saw. */
export function caughtUp(newest: TailPosition['newest'], { running }: TransactionSnapshot): TailPosition {
  return { newest, open: running.filter(xid => xid <= newest.xid), partial: null, since: null }
}

/** Before everything that was written from a moment on, until the first look. */
export function startingFrom(since: string): TailPosition {
  return { newest: { xid: 0n, writtenAt: null }, open: [], partial: null, since }
}

/**
 * What the position is when the journal was looked at. One that begins with a moment takes up, at the first look, all that had not ended
 * then: they commit later than the moment, and may have written before it.
 */
export function lookedAtFrom(position: TailPosition, { running }: TransactionSnapshot): TailPosition {
  const isFirst = position.since !== null && position.newest.xid === 0n
  return isFirst ? { ...position, open: running } : position
}

/**
 * Behind a transaction, when all that were not behind the position, were seen by the snapshot and have a lower number were delivered
 * before. The transaction that was partly delivered comes before all others.
 */
export function behindTransaction(
  position: TailPosition,
  { running }: TransactionSnapshot,
  transaction: JournalTransaction,
): TailPosition {
  const { xid } = transaction
  if (position.partial !== null) {
    return { ...position, open: position.open.filter(open => open !== xid), partial: null }
  }
  return {
    ...position,
    newest: xid > position.newest.xid ? transaction : position.newest,
    open: [...running.filter(other => other < xid), ...position.open.filter(other => other > xid)],
  }
}

/** In the midst of a transaction, behind one of its alerts. */
export function withinTransaction(
  position: TailPosition,
  snapshot: TransactionSnapshot,
  transaction: JournalTransaction,
  after: AlertPlace,
): TailPosition {
  const { xid } = transaction
  const partial = { xid, after }
  if (position.partial !== null) return { ...position, partial }
  const behind = behindTransaction(position, snapshot, transaction)
  const open = [...behind.open.filter(other => other < xid), xid, ...behind.open.filter(other => other > xid)]
  return { ...behind, open, partial }
}
