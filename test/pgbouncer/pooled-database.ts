import { afterAll, beforeAll, inject } from 'vitest'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import type { PooledDatabase } from '../support/pooler-leftovers.ts'
import { type TestDatabase, useTestDatabase } from '../support/test-database.ts'

export interface OwnPooledDatabase extends PooledDatabase {
  readonly direct: TestDatabase
  readonly poolSize: number
}

/**
 * A database of its own for a test file, and a PgBouncer of its own in front of it. It has so few connections that the clients of a
 * test share them.
 */
export function usePooledDatabase(from: 'migrated' | 'empty', poolSize: number): OwnPooledDatabase {
  const direct = useTestDatabase(from)
  let pooler: PgBouncer | undefined
  beforeAll(async () => {
    pooler = await startPgBouncer({ serverUrl: inject('adminUrl'), poolSize })
  })
  afterAll(async () => pooler?.stop())
  return {
    direct,
    poolSize,
    get through() {
      if (pooler === undefined) throw new Error('PgBouncer runs only while the tests do')
      return { connectionString: pooler.urlOf(direct.name) }
    },
  }
}
