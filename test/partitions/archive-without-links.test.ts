import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  openDatabase,
  openProxy,
} from './archive-support.ts'

/** What FAT and some network file systems answer, none of which can be mounted here. Every other call is the real one. */
vi.mock('node:fs/promises', async importOriginal => ({
  ...(await importOriginal<typeof import('node:fs/promises')>()),
  link: () =>
    Promise.reject(Object.assign(new Error('operation not permitted'), { code: 'EPERM', syscall: 'link' })),
}))

const database = useTestDatabase()

it('F26: an archive is made where the file system has no hard links, and takes no place of another', async () => {
  const db = openDatabase(database)
  const folder = await archiveFolder()
  const month = await detachedMonth(database, 2000)
  const first = await writeArchive(db, archiveRequest(month, folder))
  const before = await imageOf(database, month.table)
  // Of the same name, while the first has all of its own: a table that was changed since.
  await database.sql(`UPDATE ${month.table} SET rule_name = 'changed'`)
  const second = await writeArchive(db, archiveRequest(month, folder))
  const changed = await imageOf(database, month.table)
  expect((await readdir(folder)).sort()).toEqual([
    `${month.table}-2.manifest.json`,
    `${month.table}-2.ndjson.gz`,
    `${month.table}.manifest.json`,
    `${month.table}.ndjson.gz`,
  ])
  await db.transaction(transaction => dropArchivedTable(transaction, second, month.table))
  for (const [archive, image] of [
    [first, before],
    [second, changed],
  ] as const) {
    await restorePartition(db, archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(image)
    await database.sql(`DROP TABLE ${month.table}`)
  }
})

it('F26: one that is overtaken there in the midst keeps to the next number', async () => {
  const folder = await archiveFolder()
  const month = await detachedMonth(database, 2000)
  const proxy = await openProxy(database)
  const held = proxy.inject({
    when: { from: 'client', message: 'Query', text: /WITH TIES/, nth: 3 },
    action: 'freeze',
  })
  const overtaken = writeArchive(openDatabase(proxy), archiveRequest(month, folder))
  await held.fired
  const elsewhere = await archiveFolder()
  const theirs = await detachedMonth(database, 10)
  await writeArchive(openDatabase(database), archiveRequest(theirs, elsewhere))
  const { copyFile } = await import('node:fs/promises')
  for (const ending of ['.ndjson.gz', '.manifest.json']) {
    await copyFile(join(elsewhere, `${theirs.table}${ending}`), join(folder, `${month.table}${ending}`))
  }
  proxy.thaw()
  expect((await overtaken).manifest.file).toBe(`${month.table}-2.ndjson.gz`)
  expect(await readdir(folder)).toHaveLength(4)
})
