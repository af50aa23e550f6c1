import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { writeNewFile } from '../../src/files/new-file.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { mountDisk, NO_MOUNT } from '../support/mount-disk.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-new-file-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('a new file', () => {
  it('has its content and its mode, and nothing is left beside it', async () => {
    const path = join(folder, 'file')
    await writeNewFile(path, 'content', 0o600)
    expect(await readFile(path, 'utf8')).toBe('content')
    if (platform() !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(path)).nlink).toBe(1)
    expect(await readdir(folder)).toEqual(['file'])
  })

  it('never takes the place of another, and of many that come at once one is there', async () => {
    const path = join(folder, 'wanted')
    const contents = Array.from({ length: 20 }, (_, index) => `content ${index}`)
    const results = await Promise.allSettled(contents.map(content => writeNewFile(path, content, 0o600)))
    const winner = results.findIndex(result => result.status === 'fulfilled')
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(1)
    expect(
      results.filter(result => result.status === 'rejected' && result.reason.code === 'EEXIST'),
    ).toHaveLength(19)
    expect(await readFile(path, 'utf8')).toBe(contents[winner])
    expect(await readdir(folder)).toEqual(['file', 'wanted'])
  })

  it('cannot be made where there is no folder', async () => {
    await expect(writeNewFile(join(folder, 'none', 'file'), '', 0o600)).rejects.toMatchObject({
      code: 'ENOENT',
    })
  })
})

describe('a new file on a full disk', () => {
  it('is not there at all', async context => {
    const full = mountDisk('size=64k')
    if (full === undefined) return context.skip(NO_MOUNT)
    await writeFile(join(full, 'filler'), Buffer.alloc(60_000))
    const write = writeNewFile(join(full, 'file'), 'a'.repeat(20_000), 0o600)
    await expect(write).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await readdir(full)).toEqual(['filler'])
  })
})

const noAppendOnly = canMakeAppendOnly() ? undefined : 'chattr +a needs root and a file system such as ext4'

describeUnless(noAppendOnly, 'a new file in a folder where names can only be added', () => {
  it('is there, whole and for ever', async () => {
    const only = join(folder, 'append-only')
    await mkdir(only)
    spawnSync('chattr', ['+a', only])
    onTestFinished(() => void spawnSync('chattr', ['-a', only]))
    await writeNewFile(join(only, 'file'), 'content', 0o600)
    expect(await readFile(join(only, 'file'), 'utf8')).toBe('content')
    await expect(writeNewFile(join(only, 'file'), 'other', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(unlink(join(only, 'file'))).rejects.toMatchObject({ code: 'EPERM' })
    expect(await readFile(join(only, 'file'), 'utf8')).toBe('content')
    const visible = (await readdir(only)).filter(name => !name.startsWith('.'))
    expect(visible).toEqual(['file'])
  })
})

function canMakeAppendOnly(): boolean {
  const { status } = spawnSync('bash', [
    '-c',
    'folder=$(mktemp -d) && chattr +a "$folder" && chattr -a "$folder" && rmdir "$folder"',
  ])
  return status === 0
}
