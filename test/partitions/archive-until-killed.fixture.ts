/** Archives a detached month and drops its table, and says how far it is. */
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { Database } from '../../src/pg/database.ts'

const [connectionString = '', archiveDir = '', table = '', from = '', to = ''] = process.argv.slice(2)

const db = new Database({
  connectionString,
  maxConnections: 2,
  connectTimeoutMs: 10_000,
  applicationName: 'archive until killed',
})
process.stdout.write('started\n')
const archive = await writeArchive(db, { table, from, to, archiveDir, schemaVersion: 10 })
process.stdout.write('archived\n')
await db.transaction(transaction => dropArchivedTable(transaction, archive, table))
process.stdout.write('dropped\n')
await db.close()
