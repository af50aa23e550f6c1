import { DatabaseError, TripwireStorageError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import type { DeadLetter, RedriveReport } from '../../model/dead-letter.ts'
import type { QueryRunner } from '../../pg/database.ts'
import { parseAlert } from '../ingest/parse-alert.ts'
import type { BatchOutcome } from '../ingest/store-batch.ts'
import { alertFromJson } from './alert-json.ts'
import { deleteDeadLetters } from './discard-dead-letters.ts'
import { listDeadLetters } from './list-dead-letters.ts'

const DEFAULT_LIMIT = 10_000

const RECORD_ATTEMPTS = `
  UPDATE alert_dead_letters AS present
  SET
    attempts = attempts + 1,
    last_attempt_at = now(),
    message = given.message,
    sql_state = given.sql_state,
    column_name = given.column_name,
    reason = CASE
      WHEN EXISTS (
        SELECT
        FROM alert_dead_letters AS other
        WHERE other.alert_sha256 = present.alert_sha256
          AND other.reason = given.reason
      ) THEN present.reason
      ELSE given.reason
    END
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS given (
    dead_letter_id, message, sql_state, column_name, reason
  )
  WHERE present.dead_letter_id = given.dead_letter_id`

/**
 * Hands dead letters in again. The alert is stored first and its dead letter deleted after that: a crash in between
 * leaves a dead letter whose alert is a duplicate the next time.
 */
export async function redriveDeadLetters(
  db: QueryRunner,
  filter: { readonly limit?: number | undefined },
  store: (alerts: readonly AcceptedAlert[]) => Promise<readonly BatchOutcome[]>,
): Promise<RedriveReport> {
  const deadLetters = await listDeadLetters(db, { ...filter, limit: filter.limit ?? DEFAULT_LIMIT })
  const readable: { readonly deadLetter: DeadLetter; readonly alert: AcceptedAlert }[] = []
  const refused: { readonly deadLetter: DeadLetter; readonly error: TripwireStorageError }[] = []
  for (const deadLetter of deadLetters) {
    const alert = tryParse(deadLetter)
    if (alert instanceof TripwireStorageError) refused.push({ deadLetter, error: alert })
    else readable.push({ deadLetter, alert })
  }
  const outcomes = await store(readable.map(({ alert }) => alert))
  const done: { readonly id: string; readonly kind: 'stored' | 'duplicate' }[] = []
  readable.forEach(({ deadLetter }, index) => {
    const outcome = outcomes[index]
    if (outcome?.kind === 'refused') refused.push({ deadLetter, error: outcome.error })
    else if (outcome) done.push({ id: deadLetter.deadLetterId, kind: outcome.kind })
  })
  await deleteDeadLetters(
    db,
    done.map(({ id }) => id),
  )
  await db.query(RECORD_ATTEMPTS, [
    refused.map(({ deadLetter }) => deadLetter.deadLetterId),
    refused.map(({ error }) => error.message.toWellFormed().replace(/\0/g, '\ufffd')),
    refused.map(({ error }) => (error instanceof DatabaseError ? (error.sqlState ?? null) : null)),
    refused.map(({ error }) => (error instanceof DatabaseError ? (error.column ?? null) : null)),
    refused.map(({ error }) => error.code),
  ])
  const stored = done.filter(({ kind }) => kind === 'stored').length
  return { stored, duplicate: done.length - stored, refused: refused.length }
}

function tryParse({ alertJson }: DeadLetter): AcceptedAlert | TripwireStorageError {
  try {
    return parseAlert('alert', alertFromJson(alertJson))
  } catch (error) {
    if (error instanceof TripwireStorageError) return error
    throw error
  }
}
