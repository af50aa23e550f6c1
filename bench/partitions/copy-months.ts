/**
 * A process that copies tables into gzip files: the connection in TRIPWIRE_DATABASE_URL, the folder, the tables. What an
 * operator's script would do before it drops them.
 */
import { join } from 'node:path'
import { copyTableToGzip } from '../peers/copy-out.ts'
import { connect } from '../support/connect.ts'

const [folder = '', ...tables] = process.argv.slice(2)
const client = await connect(process.env['TRIPWIRE_DATABASE_URL'] ?? '')
try {
  for (const table of tables) await copyTableToGzip(client, table, join(folder, `${table}.ndjson.gz`))
} finally {
  await client.end()
}
