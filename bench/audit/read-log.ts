/**
 * A process that reads the whole log in TRIPWIRE_DATABASE_URL once, and prints what it took: how (`verify`, `lines` or `columns`), and
 * how many entries there are. A process of its own, so that the memory is that of the reading alone.
 */
import { beginSnapshot } from '../../src/audit/verify/audit-snapshot.ts'
import { ALL_CHAINS, readAuditLines } from '../../src/audit/verify/read-audit-lines.ts'
import { Store } from '../../src/index.ts'
import { Database } from '../../src/pg/database.ts'
import { connect } from '../support/connect.ts'
import { runReading } from '../support/reading-process.ts'
import { ENTRY_COLUMNS } from './bench-chain.ts'
import { READINGS, type Reading } from './reading.ts'

const FETCH_ROWS = 512

type OnEntries = (entries: number) => void

const readings: Readonly<
  Record<Reading, (connectionString: string, onEntries: OnEntries) => Promise<number>>
> = {
  async verify(connectionString, onEntries) {
    await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
    const { verdict, entries, checked } = await store.verifyAuditChain({
      onProgress: progress => onEntries(progress.entries),
    })
    if (verdict !== 'intact' || checked.recomputed !== entries)
      throw new Error(`${verdict}: ${checked.recomputed} of ${entries} entries were recomputed`)
    return entries
  },

  /** The statement and the cursor of the verifier. */
  async lines(connectionString, onEntries) {
    const db = new Database({
      connectionString,
      maxConnections: 1,
      connectTimeoutMs: 10_000,
      applicationName: 'bench',
    })
    let entries = 0
    try {
      await db.transaction(async transaction => {
        await beginSnapshot(transaction)
        for await (const lines of readAuditLines(transaction, ALL_CHAINS)) {
          entries += lines.length
          onEntries(entries)
        }
      })
    } finally {
      await db.close()
    }
    return entries
  },

  /** What anybody would write who wants the columns: a cursor, each value as the text that the server sends. */
  async columns(connectionString, onEntries) {
    const client = await connect(connectionString)
    let entries = 0
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
      await client.query(`
        DECLARE all_entries NO SCROLL CURSOR FOR
        SELECT ${ENTRY_COLUMNS}
        FROM audit_entries
        ORDER BY host_id, sequence_num`)
      const types = { getTypeParser: () => (text: string) => text }
      for (;;) {
        const { rows } = await client.query({ text: `FETCH ${FETCH_ROWS} FROM all_entries`, types })
        entries += rows.length
        onEntries(entries)
        if (rows.length < FETCH_ROWS) break
      }
      await client.query('COMMIT')
    } finally {
      await client.end()
    }
    return entries
  },
}

const [name = '', expected = ''] = process.argv.slice(2)
const reading = READINGS.find(each => each === name)
if (!reading) throw new Error(`no such reading: ${name}`)
await runReading(Number(expected), onEntries =>
  readings[reading](process.env['TRIPWIRE_DATABASE_URL'] ?? '', onEntries),
)
