import { expect, it, onTestFinished } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { archiveFolder, archiveRequest, detachedMonth, openDatabase, openProxy } from './archive-support.ts'

const database = useTestDatabase()

it('an archive and its drop, slow on purpose, hold back no VACUUM in the rest of the database', async () => {
  const month = await detachedMonth(database, 2000)
  const proxy = await openProxy(database)
  const db = openDatabase(proxy)
  onTestFinished(() => proxy.thaw())
  const inTheMidst = () =>
    proxy.inject({ when: { from: 'client', message: 'Query', text: /WITH TIES/, nth: 3 }, action: 'freeze' })

  let held = inTheMidst()
  const archiving = writeArchive(db, archiveRequest(month, await archiveFolder()))
  await held.fired
  await expectVacuumGoesOn()
  proxy.thaw()
  const archive = await archiving

  held = inTheMidst()
  const dropping = db.transaction(transaction => dropArchivedTable(transaction, archive, month.table))
  await held.fired
  await expectVacuumGoesOn()
  proxy.thaw()
  await dropping
})

/** Rows that died after the transaction began are gone: no snapshot is left that could see them. */
async function expectVacuumGoesOn(): Promise<void> {
  const [open] = await database.sql(
    `SELECT backend_xmin, backend_xid FROM pg_stat_activity WHERE application_name = 'archive test' AND state = 'idle in transaction'`,
  )
  expect(open).toEqual({ backend_xmin: null, backend_xid: null })
  await database.sql('CREATE TABLE emptied (n INTEGER); INSERT INTO emptied SELECT generate_series(1, 1000)')
  await database.sql('DELETE FROM emptied')
  await database.sql('VACUUM emptied')
  const [size] = await database.sql(`SELECT pg_relation_size('emptied')::int AS bytes`)
  expect(size).toEqual({ bytes: 0 })
  await database.sql('DROP TABLE emptied')
}
