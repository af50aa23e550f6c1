import { TripwireStorageError } from '../../errors.ts'
import type { AlertFilter } from '../query/alert-filter.ts'
import type { JournalView } from './read-journal.ts'
import { readTailPage, type TailPage } from './read-tail-page.ts'
import { caughtUp, lookedAtFrom, type TailPosition } from './tail-position.ts'
import type { ReadLimits, TailReader } from './tail-reader.ts'

const MOST_RENEWALS = 5

/** Where a tail stands, and in which database. */
export interface TailPlace {
  readonly identity: string
  readonly position: TailPosition
}

/** Where a tail stands that reads on. */
export interface NextPlace {
  /** Of the database that the position belongs to; absent for one that begins with a moment. */
  readonly identity: string | undefined
  readonly position: TailPosition
  /** Of the page before. */
  readonly rest: JournalView | undefined
}

/** A page, and the database that its positions belong to. */
export interface JournalPage extends TailPage {
  readonly identity: string
}

/**
 * The place at the end of the journal, behind everything that is committed. A journal that came from another database is begun anew.
 * @throws TripwireStorageError QUERY_FAILED on a standby.
 */
export async function findEnd(reader: TailReader, limits: ReadLimits): Promise<TailPlace> {
  const view = await readOwnJournal(reader, undefined, limits)
  return { identity: view.identity, position: caughtUp(view.newest, view.snapshot) }
}

/**
 * The next page behind a position.
 * @throws TripwireStorageError TAIL_EXPIRED when it cannot be told any more what was committed since. QUERY_FAILED on a standby.
 */
export async function readNextPage(
  reader: TailReader,
  { identity, position, rest }: NextPlace,
  filter: AlertFilter,
  limits: ReadLimits,
): Promise<JournalPage> {
  const view = rest ?? (await readOwnJournal(reader, position, limits))
  // What is left of an earlier look was within reach then.
  if (!rest) requireReach(view, position, identity)
  const start = lookedAtFrom(position, view.snapshot)
  return { ...(await readTailPage(reader, start, view, filter, limits)), identity: view.identity }
}

async function readOwnJournal(
  reader: TailReader,
  position: TailPosition | undefined,
  limits: ReadLimits,
): Promise<JournalView> {
  for (let tries = 0; tries < MOST_RENEWALS; tries++) {
    const view = await reader.readJournal(position, limits)
    if (view.isStandby) {
      throw new TripwireStorageError(
        'QUERY_FAILED',
        'a standby does not tell which transactions are running',
        {
          hint: 'follow alerts on the primary server',
        },
      )
    }
    if (view.isOwn) return view
    // The next look may be shared with somebody who began it before this.
    await reader.renewJournal(limits)
  }
  throw new TripwireStorageError('QUERY_FAILED', 'the journal of alerts belongs to another database', {
    hint: 'look what changes it: SELECT * FROM alert_journal_state',
  })
}

function requireReach(view: JournalView, position: TailPosition, identity: string | undefined): void {
  const { newest, open, since } = position
  if (identity !== undefined && identity !== view.identity) {
    throw expired(
      position,
      'the place is one in another database, or in this one before its journal was begun anew',
    )
  }
  if (since !== null && !view.reachesBack) {
    throw expired(position, `the journal of alerts does not reach back to ${since}`)
  }
  // From a moment on everything is there. What was removed was written before it, and nobody asks for that.
  const isBeyondReach = newest.xid < view.prunedThrough && (since === null || !view.hasNewest)
  if (isBeyondReach || open.some(xid => xid <= view.prunedThrough)) {
    throw expired(position, 'the journal of alerts does not reach back to that place any more')
  }
  if (!view.hasNewest && newest.xid !== view.prunedThrough) {
    throw expired(position, 'the database was set back to an earlier moment, and lacks what was delivered')
  }
}

function expired({ newest, since }: TailPosition, reason: string): TripwireStorageError {
  const from = since ?? newest.writtenAt
  return new TripwireStorageError('TAIL_EXPIRED', `this tail cannot go on: ${reason}`, {
    hint: `read what is missing with streamAlerts${from === null ? '' : ` from ${from}`}, and tail from now on`,
  })
}
