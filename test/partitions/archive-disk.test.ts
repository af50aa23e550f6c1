import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { rejection } from '../store/fixtures.ts'
import { mountDisk, NO_MOUNT } from '../support/mount-disk.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { archiveRequest, detachedMonth, openDatabase, tableExists } from './archive-support.ts'

const database = useTestDatabase()

it('F26: an archive on a full disk fails as a whole, and is made when there is space', async context => {
  const disk = mountDisk('size=2048k')
  if (disk === undefined) return context.skip(NO_MOUNT)
  const db = openDatabase(database)
  const month = await detachedMonth(database, 5000)
  // Ever less: full in the midst of the data, at its end, and with the manifest.
  for (let freeKib = 200; freeKib >= 0; freeKib -= 40) {
    await writeFile(join(disk, 'ballast'), Buffer.alloc((2048 - freeKib) * 1024))
    expect(await rejection(writeArchive(db, archiveRequest(month, disk)))).toMatchObject({
      code: 'ARCHIVE_FAILED',
      cause: { code: 'ENOSPC' },
      hint: expect.stringContaining('free space'),
    })
    expect(await readdir(disk)).toEqual(['ballast'])
    await rm(join(disk, 'ballast'))
  }
  const archive = await writeArchive(db, archiveRequest(month, disk))
  await db.transaction(transaction => dropArchivedTable(transaction, archive, month.table))
  expect(await tableExists(database, month.table)).toBe(false)
})

it('leaves no manifest when there is no room for it, and no data without it', async context => {
  const disk = mountDisk('size=2048k')
  if (disk === undefined) return context.skip(NO_MOUNT)
  const db = openDatabase(database)
  const month = await detachedMonth(database, 3)
  // One page: for the data, and none for the manifest.
  await writeFile(join(disk, 'ballast'), Buffer.alloc(2048 * 1024 - 4096))
  expect(await rejection(writeArchive(db, archiveRequest(month, disk)))).toMatchObject({
    code: 'ARCHIVE_FAILED',
    message: expect.stringContaining('.manifest.json'),
    cause: { code: 'ENOSPC' },
  })
  expect(await readdir(disk)).toEqual(['ballast'])
})

it('says that a disk is read-only', async context => {
  const disk = mountDisk('ro')
  if (disk === undefined) return context.skip(NO_MOUNT)
  const db = openDatabase(database)
  const month = await detachedMonth(database, 3)
  expect(await rejection(writeArchive(db, archiveRequest(month, disk)))).toMatchObject({
    code: 'ARCHIVE_FAILED',
    cause: { code: 'EROFS' },
    hint: 'name a folder that can be written',
  })
})
