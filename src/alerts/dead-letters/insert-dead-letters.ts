import { DatabaseError, type TripwireStorageError } from '../../errors.ts'
import type { QueryRunner } from '../../pg/database.ts'

/** An alert that is refused, on its way into the dead letters. */
export interface RefusedAlert {
  readonly alertJson: string
  readonly alertId: string | null
  readonly hostId: string | null
  readonly error: TripwireStorageError
}

/** The same alert, refused again for the same reason, is one more attempt. Sorted, so that two batches cannot deadlock. */
const INSERT_DEAD_LETTERS = `
  INSERT INTO alert_dead_letters AS present (
    alert_json, alert_id, host_id, reason, message, sql_state, column_name
  )
  SELECT DISTINCT ON (sha256(given.alert_json), given.reason)
    given.alert_json,
    given.alert_id,
    given.host_id,
    given.reason,
    given.message,
    given.sql_state,
    given.column_name
  FROM unnest(
    $1::bytea[],
    $2::uuid[],
    $3::uuid[],
    $4::text[],
    $5::text[],
    $6::text[],
    $7::text[]
  ) AS given (alert_json, alert_id, host_id, reason, message, sql_state, column_name)
  ORDER BY sha256(given.alert_json), given.reason
  ON CONFLICT (alert_sha256, reason) DO UPDATE
  SET
    attempts = present.attempts + 1,
    last_attempt_at = now(),
    message = EXCLUDED.message,
    sql_state = EXCLUDED.sql_state,
    column_name = EXCLUDED.column_name`

const NUL = /\0/g

export async function insertDeadLetters(db: QueryRunner, refused: readonly RefusedAlert[]): Promise<void> {
  if (refused.length === 0) return
  const detailOf = (error: TripwireStorageError) => (error instanceof DatabaseError ? error : undefined)
  await db.query(INSERT_DEAD_LETTERS, [
    refused.map(({ alertJson }) => `\\x${Buffer.from(alertJson).toString('hex')}`),
    refused.map(({ alertId }) => alertId),
    refused.map(({ hostId }) => hostId),
    refused.map(({ error }) => error.code),
    refused.map(({ error }) => error.message.toWellFormed().replace(NUL, '\ufffd')),
    refused.map(({ error }) => detailOf(error)?.sqlState ?? null),
    refused.map(({ error }) => detailOf(error)?.column ?? null),
  ])
}
