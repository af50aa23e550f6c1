import type { QueryRunner } from '../pg/database.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

const SERVER_NOW = `
  SELECT ${selectTimestamp('now')}
  FROM (SELECT now() AS now) AS server`

/** The time of the server, which chooses the months. RFC 3339 in UTC. */
export async function serverNow(db: QueryRunner): Promise<string> {
  const { rows } = await db.query<{ now: string }>(SERVER_NOW)
  return timestampFromRow(rows[0]?.now ?? '')
}
