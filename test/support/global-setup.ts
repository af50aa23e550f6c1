/** Makes one PostgreSQL ready for the whole run, with a migrated database in it that each test file clones. */
import type { TestProject } from 'vitest/node'
import { migrateUp } from '../../src/index.ts'
import { runAdminSql, withDatabaseName } from './admin-sql.ts'
import { startTestServer } from './test-server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly adminUrl: string
    readonly templateDatabase: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestServer(process.env)
  const templateDatabase = `tripwire_template_${process.pid}`
  try {
    await runAdminSql(server.adminUrl, `DROP DATABASE IF EXISTS ${templateDatabase}`)
    await runAdminSql(server.adminUrl, `CREATE DATABASE ${templateDatabase}`)
    await migrateUp({ connectionString: withDatabaseName(server.adminUrl, templateDatabase) })
  } catch (error) {
    await server.stop()
    throw error
  }
  project.provide('adminUrl', server.adminUrl)
  project.provide('templateDatabase', templateDatabase)
  return async () => {
    await runAdminSql(server.adminUrl, `DROP DATABASE IF EXISTS ${templateDatabase}`)
    await server.stop()
  }
}
