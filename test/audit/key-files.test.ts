import { execFile } from 'node:child_process'
import { chmod, link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateAuditKey, verifierText } from '../../src/audit/note/audit-key.ts'
import { readSigner, readVerifier, writeKeyFiles } from '../../src/audit/note/key-files.ts'
import { rejection } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'

const key = generateAuditKey('example.com/audit')
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-keys-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let files = 0

/** A file of its own, which only its owner can use. */
async function file(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(folder, `file-${files++}`)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

describe('key files', () => {
  it('are written once, the private one for its owner alone, and read again', async () => {
    const path = join(folder, 'audit-key')
    await writeKeyFiles(path, key)
    expect(await readFile(path, 'utf8')).toBe(`${key.privateKey}\n`)
    expect(await readFile(`${path}.pub`, 'utf8')).toBe(`${key.publicKey}\n`)
    if (platform() !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readdir(folder)).filter(name => name.endsWith('.tmp'))).toEqual([])
    expect(verifierText((await readSigner('key', path)).verifier)).toBe(key.publicKey)
    expect(verifierText(await readVerifier('key', `${path}.pub`))).toBe(key.publicKey)
  })

  it.each([
    ['both', ['both', 'both.pub']],
    ['private', ['private']],
    ['public', ['public.pub']],
  ])('are never written over where %s is taken, and nothing is left then', async (name, taken) => {
    const own = await mkdtemp(join(folder, 'taken-'))
    for (const each of taken) await writeFile(join(own, each), 'precious')
    const error = await rejection(writeKeyFiles(join(own, name), key))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field: 'out' })
    for (const each of taken) expect(await readFile(join(own, each), 'utf8')).toBe('precious')
    expect((await readdir(own)).sort()).toEqual(taken)
  })

  it('cannot be written where there is no folder', async () => {
    const error = await rejection(writeKeyFiles(join(folder, 'none', 'key'), key))
    expect(error).toMatchObject({ code: 'AUDIT_FILE_FAILED' })
    expect(String(error)).not.toContain(key.privateKey)
  })

  it('may also be given as their text, with or without the line end', async () => {
    for (const end of ['', '\n', '\r\n']) {
      expect((await readSigner('key', key.privateKey + end)).verifier.name).toBe(key.name)
      expect((await readVerifier('key', key.publicKey + end)).name).toBe(key.name)
      expect((await readSigner('key', await file(key.privateKey + end))).verifier.name).toBe(key.name)
      expect((await readVerifier('key', await file(key.publicKey + end))).name).toBe(key.name)
    }
  })

  it.each(['\ufeff', ' ', '\n', '\n\n'])('are refused with %j before or after the key', async extra => {
    for (const text of [
      extra + key.privateKey,
      `${key.privateKey}${extra}x`,
      `${key.privateKey}\n${extra}`,
    ]) {
      for (const given of [text, await file(text)]) {
        const error = await rejection(readSigner('key', given))
        expect(error).toMatchObject({ code: 'AUDIT_KEY_UNUSABLE' })
        expect(JSON.stringify([String(error), error])).not.toContain('PRIVATE+KEY')
      }
    }
  })

  it('that hold something else are refused, and say which key they hold', async () => {
    const privateFile = await file(`${key.privateKey}\n`)
    const publicFile = await file(`${key.publicKey}\n`)
    expect(await rejection(readSigner('key', publicFile))).toMatchObject({
      code: 'AUDIT_KEY_UNUSABLE',
      hint: expect.stringContaining('it is the public key'),
    })
    for (const given of [privateFile, key.privateKey]) {
      const error = await rejection(readVerifier('key', given))
      expect(error).toMatchObject({
        code: 'AUDIT_KEY_UNUSABLE',
        hint: expect.stringContaining('it is a private key'),
      })
      expect(JSON.stringify([String(error), error])).not.toContain(key.privateKey.slice(-20))
    }
    for (const content of ['', 'PRIVATE+KEY+', Buffer.alloc(5000, 'a'), Buffer.of(0xff, 0xfe)]) {
      const path = await file(content)
      await expect(readSigner('key', path)).rejects.toMatchObject({ code: 'AUDIT_KEY_UNUSABLE' })
      await expect(readVerifier('key', path)).rejects.toMatchObject({ code: 'AUDIT_KEY_UNUSABLE' })
    }
  })

  it('that are endless are not read to their end', async () => {
    if (platform() === 'win32') return
    await expect(readVerifier('key', '/dev/zero')).rejects.toMatchObject({ code: 'AUDIT_KEY_UNUSABLE' })
  })

  it.each([undefined, null, 7, '', '/no/such/file', tmpdir()])('cannot be read from %j', async given => {
    await expect(readSigner('key', given)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'key' })
    await expect(readVerifier('key', given)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'key' })
  })
})

const isWindows = platform() === 'win32' ? 'Windows has no modes of files' : undefined

describeUnless(isWindows, 'a private key that others can use', () => {
  it.each([0o640, 0o604, 0o620, 0o602, 0o601, 0o660, 0o644, 0o777])('with mode %o is refused', async mode => {
    const path = await file(`${key.privateKey}\n`, mode)
    const error = await rejection(readSigner('key', path))
    expect(error).toMatchObject({ code: 'AUDIT_KEY_UNUSABLE', hint: expect.stringContaining('chmod 600') })
    await chmod(path, 0o400)
    expect((await readSigner('key', path)).verifier.name).toBe(key.name)
    // Its public half is for everybody.
    expect((await readVerifier('key', await file(key.publicKey, mode))).name).toBe(key.name)
  })

  it('through another name of the same file is refused as well', async () => {
    const path = await file(key.privateKey, 0o640)
    await link(path, `${path}-again`)
    await expect(readSigner('key', `${path}-again`)).rejects.toMatchObject({ code: 'AUDIT_KEY_UNUSABLE' })
  })

  it('may come through a pipe', async () => {
    const program = `
      import { readSigner } from ${JSON.stringify(new URL('../../src/audit/note/key-files.ts', import.meta.url).href)}
      console.log((await readSigner('key', process.argv[1])).verifier.name)`
    const { stdout } = await promisify(execFile)('bash', [
      '-c',
      '"$0" --input-type=module --eval "$1" <(printf "%s\\n" "$2")',
      process.execPath,
      program,
      key.privateKey,
    ])
    expect(stdout).toBe('example.com/audit\n')
  })
})
