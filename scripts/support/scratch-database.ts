import { migrateUp } from '../../src/index.ts'
import { runAdminSql, withDatabaseName } from '../../test/support/admin-sql.ts'
import { startTestServer } from '../../test/support/test-server.ts'

/** Runs `work` on a freshly migrated database of its own, on the server that the tests use, and drops it afterwards. */
export async function withScratchDatabase<T>(work: (connectionString: string) => Promise<T>): Promise<T> {
  const server = await startTestServer(process.env)
  try {
    return await withMigratedDatabase(server.adminUrl, work)
  } finally {
    await server.stop()
  }
}

let counter = 0

/** The same on a server that runs already. */
export async function withMigratedDatabase<T>(
  adminUrl: string,
  work: (connectionString: string) => Promise<T>,
): Promise<T> {
  const name = `tripwire_check_${process.pid}_${counter++}`
  await runAdminSql(adminUrl, `CREATE DATABASE ${name}`)
  try {
    const connectionString = withDatabaseName(adminUrl, name)
    await migrateUp({ connectionString })
    return await work(connectionString)
  } finally {
    await runAdminSql(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
}
