import type { QueryRunner } from '../../pg/database.ts'

const PRUNE_JOURNAL = `
  SELECT prune_alert_journal(make_interval(hours => $1::integer))`

/** Removes what is older from the journal that tails read. */
export async function pruneJournal(db: QueryRunner, keepHours: number): Promise<void> {
  await db.query(PRUNE_JOURNAL, [keepHours])
}
