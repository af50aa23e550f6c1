import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryRunner } from '../../pg/database.ts'
import { isLockConflict } from '../../pg/retry-lock.ts'

const MOST_ATTEMPTS = 10
const LONGEST_PAUSE_MS = 1000

/**
 * Attaches a table to `alerts` as the partition of a month. When the lock on `alerts` is not to be had within the lock timeout of
 * the transaction, it is tried again after a pause of random length, ten times in all; what the transaction did before stays.
 * @param table as it stands in SQL.
 */
export async function attachTable(
  transaction: QueryRunner,
  table: string,
  { from, to }: { readonly from: string; readonly to: string },
  signal?: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await transaction.runScript('SAVEPOINT before_attach')
    try {
      await transaction.runScript(
        `ALTER TABLE alerts ATTACH PARTITION ${table} FOR VALUES FROM ('${from}') TO ('${to}')`,
      )
      return
    } catch (error) {
      if (!isLockConflict(error) || attempt === MOST_ATTEMPTS) throw error
    }
    await transaction.runScript('ROLLBACK TO SAVEPOINT before_attach')
    await sleep(LONGEST_PAUSE_MS * Math.random(), undefined, signal ? { signal } : {})
  }
}
