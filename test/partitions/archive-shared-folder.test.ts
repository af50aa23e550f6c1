import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dropArchivedTable } from '../../src/partitions/archive/drop-archived-table.ts'
import type { Archive } from '../../src/partitions/archive/manifest.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import { type TestDatabase, useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  fillMonth,
  imageOf,
  newHosts,
  nextMonth,
  openDatabase,
  openProxy,
  type TestMonth,
  tableExists,
} from './archive-support.ts'

/** Two databases of the same schema that archive the same month into the same folder. */
const databases = [useTestDatabase(), useTestDatabase()] as const

async function detach(database: TestDatabase, month: TestMonth, count: number): Promise<unknown> {
  await database.sql(`SELECT ensure_alert_partition('${month.from}')`)
  await database.sql(fillMonth(month, count, await newHosts(database, 2)))
  await database.sql(`ALTER TABLE alerts DETACH PARTITION ${month.table}`)
  return imageOf(database, month.table)
}

async function prepare(count: number) {
  const month = nextMonth()
  const [slow, quick] = databases
  return {
    month,
    folder: await archiveFolder(),
    slow: { database: slow, before: await detach(slow, month, count) },
    quick: { database: quick, before: await detach(quick, month, count) },
  }
}

async function archiveAndDrop(
  through: { readonly connectionString: string },
  month: TestMonth,
  folder: string,
): Promise<Archive> {
  const db = openDatabase(through)
  const archive = await writeArchive(db, archiveRequest(month, folder))
  await db.transaction(transaction => dropArchivedTable(transaction, archive, month.table))
  return archive
}

async function expectComesBack(
  { database, before }: { readonly database: TestDatabase; readonly before: unknown },
  month: TestMonth,
  archive: Archive,
): Promise<void> {
  expect(await tableExists(database, month.table)).toBe(false)
  await restorePartition(openDatabase(database), archive.manifestPath)
  expect(await imageOf(database, month.table)).toEqual(before)
}

const IN_THE_MIDST = {
  when: { from: 'client', message: 'Query', text: /WITH TIES/, nth: 3 },
  action: 'freeze',
} as const

describe('F26: of two databases with one folder, the one that is overtaken in the midst of its archive', () => {
  it('takes nothing away when it is cut, and both come back', async () => {
    const { month, folder, slow, quick } = await prepare(2000)
    const proxy = await openProxy(slow.database)
    const held = proxy.inject(IN_THE_MIDST)
    const overtaken = writeArchive(openDatabase(proxy), archiveRequest(month, folder))
    const refused = expect(overtaken).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    await held.fired
    const archive = await archiveAndDrop(quick.database, month, folder)
    await proxy.cutAll()
    await refused
    await expectComesBack(quick, month, archive)
    await expectComesBack(slow, month, await archiveAndDrop(slow.database, month, folder))
  })

  it('finishes its own, and both come back', async () => {
    const { month, folder, slow, quick } = await prepare(2000)
    const proxy = await openProxy(slow.database)
    const held = proxy.inject(IN_THE_MIDST)
    const overtaken = archiveAndDrop(proxy, month, folder)
    await held.fired
    const archive = await archiveAndDrop(quick.database, month, folder)
    proxy.thaw()
    const other = await overtaken
    expect([archive, other].map(({ manifest }) => manifest.file)).toEqual([
      `${month.table}.ndjson.gz`,
      `${month.table}-2.ndjson.gz`,
    ])
    await expectComesBack(quick, month, archive)
    await expectComesBack(slow, month, other)
    expect(await readdir(folder)).toHaveLength(4)
  })

  it('does so, too, when both are as quick, again and again', async () => {
    for (let round = 0; round < 10; round++) {
      const { month, folder, slow, quick } = await prepare(3)
      const archives = await Promise.all(
        [slow, quick].map(({ database }) => archiveAndDrop(database, month, folder)),
      )
      for (const [index, side] of [slow, quick].entries()) {
        const archive = archives[index]
        if (archive) await expectComesBack(side, month, archive)
      }
      expect(await readdir(folder)).toHaveLength(4)
    }
  })
})

describe('what is not ours in the folder is left as it is', () => {
  it('a data file without a manifest, whose archive may be under way: the next number is taken', async () => {
    const { month, folder, slow } = await prepare(10)
    const theirs = join(folder, `${month.table}.ndjson.gz`)
    await writeFile(theirs, 'theirs')
    const archive = await archiveAndDrop(slow.database, month, folder)
    expect(archive.manifest.file).toBe(`${month.table}-2.ndjson.gz`)
    expect(await readFile(theirs, 'utf8')).toBe('theirs')
    await expectComesBack(slow, month, archive)
  })

  it('a manifest without a data file', async () => {
    const { month, folder, slow } = await prepare(10)
    const theirs = join(folder, `${month.table}.manifest.json`)
    await writeFile(theirs, '{}')
    const archive = await archiveAndDrop(slow.database, month, folder)
    expect(archive.manifest.file).toBe(`${month.table}-2.ndjson.gz`)
    expect(await readFile(theirs, 'utf8')).toBe('{}')
    await expectComesBack(slow, month, archive)
  })

  it('folders in the place of files', async () => {
    const { month, folder, slow } = await prepare(10)
    await mkdir(join(folder, `${month.table}.ndjson.gz`))
    await mkdir(join(folder, `${month.table}-2.manifest.json`))
    const archive = await archiveAndDrop(slow.database, month, folder)
    expect((await readdir(folder)).sort()).toEqual([
      `${month.table}-2.manifest.json`,
      `${month.table}-3.manifest.json`,
      `${month.table}-3.ndjson.gz`,
      `${month.table}.ndjson.gz`,
    ])
    await expectComesBack(slow, month, archive)
  })

  it('what another one writes at this moment, under whatever name', async () => {
    const { month, folder, slow, quick } = await prepare(2000)
    const proxy = await openProxy(slow.database)
    const held = proxy.inject(IN_THE_MIDST)
    const overtaken = archiveAndDrop(proxy, month, folder)
    await held.fired
    const [unfinished = ''] = await readdir(folder)
    await archiveAndDrop(quick.database, month, folder)
    expect(await readdir(folder)).toContain(unfinished)
    proxy.thaw()
    await expectComesBack(slow, month, await overtaken)
  })
})

it('what a cut run of the same table left is taken away by the next one, and nothing else', async () => {
  const { month, folder, slow, quick } = await prepare(2000)
  const cut = await openProxy(slow.database)
  const held = cut.inject(IN_THE_MIDST)
  const archiving = writeArchive(openDatabase(cut), archiveRequest(month, folder)).catch(() => undefined)
  await held.fired
  const [unfinished = ''] = await readdir(folder)
  // As a run leaves it that was killed: under its name, and nobody writes it.
  await rename(join(folder, unfinished), join(folder, 'aside'))
  await cut.cutAll()
  await archiving
  await rename(join(folder, 'aside'), join(folder, unfinished))
  const others = [`.${month.table}.${randomUUID()}.tmp`, `${unfinished}.tmp`, 'notes.tmp']
  await Promise.all(others.map(name => writeFile(join(folder, name), '')))
  const elsewhere = await archiveAndDrop(quick.database, month, folder)
  expect((await readdir(folder)).sort()).toContain(unfinished)
  const archive = await archiveAndDrop(slow.database, month, folder)
  expect(new Set(await readdir(folder))).toEqual(
    new Set([
      ...others,
      ...[elsewhere, archive].flatMap(({ manifest: { file } }) => [
        file,
        file.replace('.ndjson.gz', '.manifest.json'),
      ]),
    ]),
  )
  await expectComesBack(quick, month, elsewhere)
  await expectComesBack(slow, month, archive)
})
