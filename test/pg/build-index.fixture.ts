/** Builds an index in a process of its own: connection string and definition (JSON) from the command line. */
import { buildIndexConcurrently } from '../../src/pg/build-index.ts'
import { Database } from '../../src/pg/database.ts'

const [connectionString = '', definition = '{}'] = process.argv.slice(2)
const db = new Database({
  connectionString,
  maxConnections: 1,
  connectTimeoutMs: 10_000,
  applicationName: 'index builder',
})
process.stdout.write(await buildIndexConcurrently(db, JSON.parse(definition)))
await db.close()
