/** PostgreSQL from npm, for development, tests and small installations: nothing has to be installed beside it. */
export type { EmbeddedPostgresOptions, PostgresMajor } from './options.ts'
export type { EmbeddedPostgres, EmbeddedPostgresExit } from './server.ts'
export { startEmbeddedPostgres } from './start.ts'
