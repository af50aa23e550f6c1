import type { MaintenanceFailure } from '../model/partition.ts'
import type { QueryRunner } from '../pg/database.ts'

const RECORD_MAINTENANCE = `
  SELECT record_maintenance($1, $2, $3::jsonb)`

/** Writes down that a task ran, for `doctor` and for other processes. Its success moves only when nothing failed. */
export async function recordMaintenance(
  db: QueryRunner,
  task: 'ensure_partitions' | 'maintenance' | 'retention' | 'index_details',
  failures: readonly MaintenanceFailure[],
  settings: Readonly<Record<string, string | number | undefined>>,
): Promise<void> {
  const problems = failures.map(({ partition, error }) => `${partition ?? 'alerts'}: ${error.message}`)
  const error = problems.length === 0 ? null : problems.join('; ')
  await db.query(RECORD_MAINTENANCE, [task, error, JSON.stringify(settings)])
}
