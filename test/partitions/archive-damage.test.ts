import { createHash } from 'node:crypto'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/errors.ts'
import {
  type Archive,
  type ManifestFields,
  makeManifest,
  manifestText,
  parseManifest,
} from '../../src/partitions/archive/manifest.ts'
import { readArchive, verifyArchive } from '../../src/partitions/archive/verify-archive.ts'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import type { Database } from '../../src/pg/database.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  nextMonth,
  openDatabase,
  type TestMonth,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

interface DamagedArchive {
  readonly db: Database
  readonly month: TestMonth
  readonly archive: Archive
  readonly file: string
  readonly fileBytes: Buffer
  readonly manifestBytes: Buffer
  readonly folder: string
}

/** An archive whose table is gone, with the bytes that it had before it was damaged. */
async function onlyArchive(count = 10): Promise<DamagedArchive> {
  const db = openDatabase(database)
  const folder = await archiveFolder()
  const month = await detachedMonth(database, count)
  const archive = await writeArchive(db, archiveRequest(month, folder))
  await database.sql(`DROP TABLE ${month.table}`)
  const file = join(folder, archive.manifest.file)
  const [fileBytes, manifestBytes] = [await readFile(file), await readFile(archive.manifestPath)]
  return { db, month, archive, file, fileBytes, manifestBytes, folder }
}

function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  const damaged = Buffer.from(bytes)
  damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at)
  return damaged
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')

/** A manifest that somebody made to fit, down to its own digest. */
async function forgeManifest({ archive }: DamagedArchive, fields: Partial<ManifestFields>): Promise<void> {
  await writeFile(archive.manifestPath, manifestText(makeManifest({ ...archive.manifest, ...fields })))
}

/** A data file with other lines, and a manifest that was made to fit. */
async function forgeContent(damaged: DamagedArchive, change: (lines: string[]) => string[]): Promise<void> {
  const lines = gunzipSync(damaged.fileBytes).toString().trimEnd().split('\n')
  const content = change(lines)
    .map(line => `${line}\n`)
    .join('')
  const file = gzipSync(content)
  await writeFile(damaged.file, file)
  await forgeManifest(damaged, {
    rows: content.split('\n').length - 1,
    contentBytes: Buffer.byteLength(content),
    contentSha256: sha256(content),
    fileBytes: file.length,
    fileSha256: sha256(file),
  })
}

async function expectNotRestored(
  { db, month, archive }: DamagedArchive,
  code = 'ARCHIVE_MISMATCH',
): Promise<void> {
  expect(await rejection(restorePartition(db, archive.manifestPath))).toMatchObject({ code })
  expect(await tableExists(database, month.table)).toBe(false)
}

/** A flip that leaves the same manifest, such as a capital letter in an id, is none. */
function expectRefused(manifestBytes: Buffer, { manifest }: Archive): void {
  try {
    expect(parseManifest(manifestBytes.toString())).toEqual(manifest)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInputError)
  }
}

describe('damage is found before anything is written', () => {
  it('wherever a bit of the data file is flipped', async () => {
    const damaged = await onlyArchive()
    for (let at = 0; at < damaged.fileBytes.length; at++) {
      await writeFile(damaged.file, flipped(damaged.fileBytes, at, at % 8))
      expect(await rejection(verifyArchive(damaged.archive)), `byte ${at}`).toMatchObject({
        code: 'ARCHIVE_MISMATCH',
        message: expect.stringMatching(/fileSha256: expected [0-9a-f]{64}, found [0-9a-f]{64}$/),
      })
      if (at % 200 === 0) await expectNotRestored(damaged)
    }
  })

  it('wherever the data file is cut, and when something follows it', async () => {
    const damaged = await onlyArchive()
    for (let length = 0; length < damaged.fileBytes.length; length += 20) {
      await writeFile(damaged.file, damaged.fileBytes.subarray(0, length))
      await expectNotRestored(damaged)
    }
    for (const more of ['\0', gzipSync(''), damaged.fileBytes]) {
      await writeFile(damaged.file, Buffer.concat([damaged.fileBytes, Buffer.from(more)]))
      await expectNotRestored(damaged)
    }
  })

  it('wherever a bit of the manifest is flipped', async () => {
    const damaged = await onlyArchive()
    for (let at = 0; at < damaged.manifestBytes.length; at++) {
      for (let bit = 0; bit < 8; bit++)
        expectRefused(flipped(damaged.manifestBytes, at, bit), damaged.archive)
      if (at % 50 > 0) continue
      await writeFile(damaged.archive.manifestPath, flipped(damaged.manifestBytes, at, 4))
      await expectNotRestored(damaged)
    }
  })

  it('wherever the manifest is cut', async () => {
    const damaged = await onlyArchive()
    // The last byte is the line feed after it.
    for (let length = 0; length < damaged.manifestBytes.length - 1; length++) {
      const cut = damaged.manifestBytes.subarray(0, length)
      expect(() => parseManifest(cut.toString())).toThrow(InvalidInputError)
      if (length % 50 > 0) continue
      await writeFile(damaged.archive.manifestPath, cut)
      await expectNotRestored(damaged)
    }
  })

  it('whatever bytes stand in the place of either file', async () => {
    const damaged = await onlyArchive()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, isManifest) => {
        await writeFile(damaged.file, isManifest ? damaged.fileBytes : bytes)
        await writeFile(damaged.archive.manifestPath, isManifest ? bytes : damaged.manifestBytes)
        await expectNotRestored(damaged)
      }),
      { numRuns: 100 },
    )
  })

  it('when the data file is that of another month, or missing', async () => {
    const [damaged, other] = [await onlyArchive(), await onlyArchive()]
    await copyFile(other.file, damaged.file)
    await expectNotRestored(damaged)
    await rm(damaged.file)
    await expectNotRestored(damaged)
    await writeFile(damaged.file, damaged.fileBytes)
    await restorePartition(damaged.db, damaged.archive.manifestPath)
    expect(await tableExists(database, damaged.month.table)).toBe(true)
  })
})

describe('an edited manifest is found out', () => {
  it.each<[string, (manifest: Record<string, unknown>) => void]>([
    ['lacks a member', manifest => delete manifest['schemaVersion']],
    ['has one more', manifest => Object.assign(manifest, { note: 'edited' })],
    ['is of another format', manifest => Object.assign(manifest, { format: 'tripwire-hosts' })],
    ['is of a later version', manifest => Object.assign(manifest, { formatVersion: 2 })],
    ['counts other rows', manifest => Object.assign(manifest, { rows: 9 })],
    ['counts half a row', manifest => Object.assign(manifest, { rows: 9.5 })],
    ['has a count as text', manifest => Object.assign(manifest, { rows: '10' })],
    [
      'names another moment',
      manifest => Object.assign(manifest, { createdAt: '2026-01-01T00:00:00.000000Z' }),
    ],
    ['names another host', manifest => Object.assign(manifest, { hosts: [] })],
    [
      'leads to another folder',
      manifest => Object.assign(manifest, { file: `../${String(manifest['file'])}` }),
    ],
    ['leads to another file', manifest => Object.assign(manifest, { file: '/etc/passwd' })],
    ['is a list', manifest => Object.setPrototypeOf(manifest, null)],
  ])('that %s', async (name, edit) => {
    const damaged = await onlyArchive()
    const manifest: Record<string, unknown> = JSON.parse(damaged.manifestBytes.toString())
    edit(manifest)
    const text = JSON.stringify(name === 'is a list' ? [manifest] : manifest)
    await writeFile(damaged.archive.manifestPath, text)
    await expectNotRestored(damaged)
  })

  it('names the version that it cannot read', async () => {
    const damaged = await onlyArchive()
    await writeFile(damaged.archive.manifestPath, '{"format":"tripwire-alerts","formatVersion":2,"zones":[]}')
    expect(await rejection(readArchive(damaged.archive.manifestPath))).toMatchObject({
      code: 'ARCHIVE_MISMATCH',
      message: expect.stringContaining('manifest.formatVersion: expected 1, got 2'),
      hint: 'a newer version of tripwire-storage may be able to read it',
    })
  })
})

describe('what a forger made to fit is found out by the database, and leaves nothing', () => {
  it('when the manifest is for another month', async () => {
    const damaged = await onlyArchive()
    const { table: partition, from, to } = nextMonth()
    const file = `${partition}.ndjson.gz`
    await writeFile(join(damaged.folder, file), damaged.fileBytes)
    await forgeManifest(damaged, { partition, from, to, file })
    await expectNotRestored(damaged)
    expect(await tableExists(database, partition)).toBe(false)
  })

  it('when the hosts are others', async () => {
    const damaged = await onlyArchive()
    const { hosts } = damaged.archive.manifest
    for (const others of [[], hosts.slice(1), hosts.toReversed()]) {
      await forgeManifest(damaged, { hosts: others })
      await expectNotRestored(damaged)
    }
  })

  it.each<[string, (lines: string[]) => string[]]>([
    ['in another order', lines => lines.toReversed()],
    ['with a line twice', ([first = '', ...others]) => [first, first, ...others].sort()],
    ['with white space', lines => lines.map(line => line.replace('{', '{ '))],
    ['with a member more', lines => lines.map(line => line.replace('{', '{"note":1,'))],
    ['with moments in another zone', lines => lines.map(line => line.replace('Z",', '+00:00",'))],
    ['with a line that is no JSON', lines => [...lines, '{"alertId":']],
    ['with an empty line', lines => [...lines, '']],
    ['with a severity that does not exist', lines => lines.map(line => line.replace('WARN', 'FATAL'))],
    ['without a rule', lines => lines.map(line => line.replace('"ruleName"', '"rule"'))],
    ['with NUL', lines => lines.map(line => line.replace('"rule ', '"\\u0000'))],
    [
      'with a moment of another month',
      lines => lines.map(line => line.replace(/"receivedAt":"\d{4}/, '"receivedAt":"1999')),
    ],
  ])('when the lines are the right ones %s', async (_, change) => {
    const damaged = await onlyArchive()
    await forgeContent(damaged, change)
    await expectNotRestored(damaged)
  })

  it('and the archive itself still brings the month back', async () => {
    const damaged = await onlyArchive()
    await forgeContent(damaged, lines => lines.toReversed())
    await expectNotRestored(damaged)
    await writeFile(damaged.file, damaged.fileBytes)
    await writeFile(damaged.archive.manifestPath, damaged.manifestBytes)
    await restorePartition(damaged.db, damaged.archive.manifestPath)
    expect(await imageOf(database, damaged.month.table)).toMatchObject({ rows: 10 })
  })
})
