import { afterAll, beforeAll, inject } from 'vitest'
import { runAdminSql, withDatabaseName } from './admin-sql.ts'
import {
  endConnections,
  listClients,
  listServerConnections,
  renewServerConnections,
} from './pgbouncer-console.ts'
import { expectNothingLeft } from './pooler-leftovers.ts'

export interface TestDatabase {
  readonly name: string
  /** For the library and its command: through the pooler of the run, where there is one. */
  readonly connectionString: string
  /** For clients of the tests: a session of the server, whatever stands before it. */
  readonly directConnectionString: string
  /** Runs SQL as another client would, past a pooler. */
  sql(text: string): Promise<readonly Record<string, unknown>[]>
  /** Runs ALTER DATABASE with each clause. What a pooler keeps is renewed, so that whoever comes later meets the new settings. */
  alter(...clauses: readonly string[]): Promise<void>
  /** Ends the connections to the server that a pooler keeps, once no transaction uses them. */
  renewPooledConnections(): Promise<void>
}

const GONE_WITHIN_MS = 5000

let counter = 0

/**
 * A database of its own for a test file, cloned from the migrated template and dropped afterwards.
 * A connection that a test left open fails the file, and so does what was left on the connections of a pooler.
 * @param from `empty`: without the schema.
 */
export function useTestDatabase(from: 'migrated' | 'empty' = 'migrated'): TestDatabase {
  const adminUrl = inject('adminUrl')
  const poolerUrl = inject('poolerUrl')
  const name = `tripwire_test_${process.pid}_${Date.now().toString(36)}_${counter++}`
  const directConnectionString = withDatabaseName(adminUrl, name)
  const renewPooledConnections = async () => {
    if (poolerUrl !== undefined) await renewServerConnections(poolerUrl, name)
  }
  const database: TestDatabase = {
    name,
    connectionString: withDatabaseName(poolerUrl ?? adminUrl, name),
    directConnectionString,
    sql: text => runAdminSql(directConnectionString, text),
    alter: async (...clauses) => {
      for (const clause of clauses) await runAdminSql(adminUrl, `ALTER DATABASE ${name} ${clause}`)
      await renewPooledConnections()
    },
    renewPooledConnections,
  }

  beforeAll(async () => {
    const template = from === 'migrated' ? `TEMPLATE ${inject('templateDatabase')}` : ''
    await runAdminSql(adminUrl, `CREATE DATABASE ${name} ${template}`)
  })

  afterAll(async () => {
    try {
      if (poolerUrl !== undefined) await expectNoClients(poolerUrl, name)
      await expectNoConnections(adminUrl, poolerUrl, name)
      if (poolerUrl !== undefined) await expectNothingLeft({ through: database, direct: database })
    } finally {
      if (poolerUrl !== undefined) await endConnections(poolerUrl, name)
      await runAdminSql(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
  })

  return database
}

async function expectNoClients(poolerUrl: string, name: string): Promise<void> {
  const left = await leftAfterAMoment(() => listClients(poolerUrl, name))
  if (left.length > 0) throw new Error(`clients were left at the pooler: ${JSON.stringify(left)}`)
}

/** None but those that a pooler keeps. */
async function expectNoConnections(
  adminUrl: string,
  poolerUrl: string | undefined,
  name: string,
): Promise<void> {
  const left = await leftAfterAMoment(async () => {
    const pooled = poolerUrl === undefined ? [] : await listServerConnections(poolerUrl, name)
    const found = await runAdminSql(
      adminUrl,
      `SELECT pid, application_name, state, wait_event, pg_blocking_pids(pid) AS blockers, query FROM pg_stat_activity WHERE datname = '${name}' AND backend_type = 'client backend'`,
    )
    return found.filter(row => !pooled.some(({ pid }) => pid === row['pid']))
  })
  if (left.length > 0) throw new Error(`connections were left open: ${JSON.stringify(left)}`)
}

/** A server process goes away a moment after its client has said goodbye. */
async function leftAfterAMoment<T>(find: () => Promise<readonly T[]>): Promise<readonly T[]> {
  const deadline = Date.now() + GONE_WITHIN_MS
  for (;;) {
    const left = await find()
    if (left.length === 0 || Date.now() > deadline) return left
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
