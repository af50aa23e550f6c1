/** Makes one PostgreSQL ready for the whole run, with a migrated database in it that each test file clones. */
import type { TestProject } from 'vitest/node'
import { migrateUp } from '../../src/index.ts'
import { runAdminSql, withDatabaseName } from './admin-sql.ts'
import { startTestPooler } from './test-pooler.ts'
import { startTestServer } from './test-server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly adminUrl: string
    readonly templateDatabase: string
    /** `undefined` where no pooler stands before the server. */
    readonly poolerUrl: string | undefined
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using started = new AsyncDisposableStack()
  const server = await startTestServer(process.env)
  started.defer(() => server.stop())
  const templateDatabase = `tripwire_template_${process.pid}`
  const dropTemplate = () => runAdminSql(server.adminUrl, `DROP DATABASE IF EXISTS ${templateDatabase}`)
  await dropTemplate()
  await runAdminSql(server.adminUrl, `CREATE DATABASE ${templateDatabase}`)
  started.defer(async () => {
    await dropTemplate()
  })
  await migrateUp({ connectionString: withDatabaseName(server.adminUrl, templateDatabase) })
  const pooler = await startTestPooler(process.env, server.adminUrl)
  if (pooler !== undefined) started.use(pooler)

  project.provide('adminUrl', server.adminUrl)
  project.provide('templateDatabase', templateDatabase)
  project.provide('poolerUrl', pooler?.urlOf('postgres'))
  const untilTheEnd = started.move()
  return () => untilTheEnd.disposeAsync()
}
