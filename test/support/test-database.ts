import { afterAll, beforeAll, inject } from 'vitest'
import { runAdminSql, withDatabaseName } from './admin-sql.ts'

export interface TestDatabase {
  readonly name: string
  readonly connectionString: string
  /** Runs SQL as another client would. */
  sql(text: string): Promise<readonly Record<string, unknown>[]>
}

let counter = 0

/**
 * A database of its own for a test file, cloned from the migrated template and dropped afterwards.
 * A connection that a test left open fails the file.
 * @param from `empty`: without the schema.
 */
export function useTestDatabase(from: 'migrated' | 'empty' = 'migrated'): TestDatabase {
  const adminUrl = inject('adminUrl')
  const name = `tripwire_test_${process.pid}_${Date.now().toString(36)}_${counter++}`
  const connectionString = withDatabaseName(adminUrl, name)

  beforeAll(async () => {
    const template = from === 'migrated' ? `TEMPLATE ${inject('templateDatabase')}` : ''
    await runAdminSql(adminUrl, `CREATE DATABASE ${name} ${template}`)
  })

  afterAll(async () => {
    const left = await connectionsLeft(adminUrl, name)
    await runAdminSql(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    if (left.length > 0) throw new Error(`connections were left open: ${JSON.stringify(left)}`)
  })

  return { name, connectionString, sql: text => runAdminSql(connectionString, text) }
}

/** A server process goes away a moment after its client has said goodbye. */
async function connectionsLeft(adminUrl: string, name: string): Promise<readonly Record<string, unknown>[]> {
  const deadline = Date.now() + 5000
  for (;;) {
    const left = await runAdminSql(
      adminUrl,
      `SELECT pid, application_name, state, wait_event, pg_blocking_pids(pid) AS blockers, query FROM pg_stat_activity WHERE datname = '${name}' AND backend_type = 'client backend'`,
    )
    if (left.length === 0 || Date.now() > deadline) return left
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
