import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { writeNewFile } from '../../src/files/new-file.ts'

/** What FAT and some network file systems answer, none of which can be mounted here. Every other call is the real one. */
vi.mock('node:fs/promises', async importOriginal => ({
  ...(await importOriginal<typeof import('node:fs/promises')>()),
  link: () =>
    Promise.reject(Object.assign(new Error('operation not permitted'), { code: 'EPERM', syscall: 'link' })),
}))

it('a new file is made where the file system has no hard links, and still takes no place of another', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-no-links-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'file')
  await writeNewFile(path, 'content', 0o600)
  await expect(writeNewFile(path, 'other', 0o600)).rejects.toMatchObject({ code: 'EEXIST' })
  expect(await readFile(path, 'utf8')).toBe('content')
  expect(await readdir(folder)).toEqual(['file'])
})
