import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateAuditKey, parseSigner } from '../../src/audit/note/audit-key.ts'
import { signNote } from '../../src/audit/note/signed-note.ts'
import { append, newChain, tamper } from '../audit/signed-chains.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, ['audit', ...argv])
let folder: string
let key: string
let hostId: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-cli-audit-'))
  key = join(folder, 'audit-key')
  hostId = await newChain(database)
  await append(database, hostId, 1234)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('audit keygen', () => {
  it('writes a private key for its owner alone, and prints the public one, which stands beside it', async () => {
    const { exitCode, stdout, stderr } = await run('keygen', '--name', 'example.com/audit', '--out', key)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^example\.com\/audit\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\n$/)
    expect(await readFile(`${key}.pub`, 'utf8')).toBe(stdout)
    if (platform() !== 'win32') expect((await stat(key)).mode & 0o777).toBe(0o600)
    const secret = await readFile(key, 'utf8')
    expect(secret).toMatch(/^PRIVATE\+KEY\+example\.com\/audit\+/)
    expect(stdout + stderr).not.toContain(secret.trim().slice(-30))
  })

  it('writes over nothing, and needs no database', async () => {
    const before = await readFile(key, 'utf8')
    const again = await runCli('postgres://127.0.0.1:1/none', [
      'audit',
      'keygen',
      '--name',
      'x',
      '--out',
      key,
    ])
    expect(again).toMatchObject({ exitCode: 2, stdout: '' })
    expect(again.stderr).toMatch(/out: expected a path where no file is/)
    expect(await readFile(key, 'utf8')).toBe(before)
  })

  it.each([
    ['without a name', ['--out', 'x'], /required option '--name/],
    ['without a file', ['--name', 'x'], /required option '--out/],
    ['with a name that cannot be', ['--name', 'a b', '--out', 'x'], /name: expected 1 to 255 characters/],
  ])('%s ends with 2', async (_, argv, message) => {
    const result = await run('keygen', ...argv)
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    expect(result.stderr).toMatch(message)
  })
})

describe('audit checkpoint', () => {
  it('signs, and says what was verified', async () => {
    const out = join(folder, 'first.checkpoint')
    const { exitCode, stdout, stderr } = await run('checkpoint', '--key', key, '--out', out)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(
      /^signed at 20\S+Z: 1 chains of 1,234 entries; 1,234 were verified now\n\S+first\.checkpoint\n$/,
    )
    expect(await readFile(out, 'utf8')).toMatch(/^example\.com\/audit\n1\n/)
  })

  it('verifies what came after the previous one, and prints one JSON object', async () => {
    await append(database, hostId, 5, 'given')
    const kept = await mkdtemp(join(folder, 'kept-'))
    const previous = join(folder, 'first.checkpoint')
    const { exitCode, stdout } = await run(
      'checkpoint',
      '--key',
      key,
      '--previous',
      previous,
      '--folder',
      kept,
      '--json',
    )
    expect(exitCode).toBe(0)
    const [line = {}, ...rest] = jsonLines(stdout)
    expect(rest).toEqual([])
    expect(line).toMatchObject({ origin: 'example.com/audit', chains: 1, entries: 1239, verifiedEntries: 5 })
    expect(Object.keys(line)).not.toContain('note')
    expect(line['files']).toEqual([
      join(kept, (await readdir(kept)).find(name => name.endsWith('.checkpoint')) ?? ''),
    ])
  })

  it('ends with 3 over damage, and signs nothing', async () => {
    const hidden = await newChain(database)
    await append(database, hidden, 2)
    const kept = await mkdtemp(join(folder, 'kept-'))
    expect(await run('checkpoint', '--key', key, '--folder', kept)).toMatchObject({ exitCode: 0 })
    const before = await readdir(kept)
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hidden}'`)
    const refused = await run('checkpoint', '--key', key, '--folder', kept)
    expect(refused).toMatchObject({ exitCode: 3, stdout: '' })
    expect(refused.stderr).toMatch(
      new RegExp(
        `\\[AUDIT_DAMAGED\\]\nhint: [\\s\\S]*^host-missing +${hidden} +- +entries 1 to 2 +none$`,
        'm',
      ),
    )
    const asJson = await run('checkpoint', '--key', key, '--folder', kept, '--json')
    expect(asJson.exitCode).toBe(3)
    expect(jsonLines(asJson.stdout)).toMatchObject([
      { code: 'AUDIT_DAMAGED', findingCount: 1, findings: [{ kind: 'host-missing', hostId: hidden }] },
    ])
    expect(await readdir(kept)).toEqual(before)
  })

  it('ends with 4 when it cannot be told, such as over a pruning that another key signed', async () => {
    const signer = parseSigner(generateAuditKey('example.com/audit').privateKey)
    if (signer === undefined) throw new Error('a key that was made is none')
    await database.sql(`
      INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest)
      SELECT host_id, sequence_num, event_hash, event_hash, created_at, '${signNote('x\n', [signer])}'
      FROM audit_entries
      WHERE host_id = '${hostId}'
        AND sequence_num = 10`)
    await database.sql(`DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num <= 10`)
    const refused = await run('checkpoint', '--key', key, '--out', join(folder, 'unproven.checkpoint'))
    expect(refused).toMatchObject({ exitCode: 4, stdout: '' })
    expect(refused.stderr).toMatch(new RegExp(`^pruning-unverified +${hostId} +10 `, 'm'))
    await tamper(database, 'DELETE FROM audit_prunings')
  })

  it('that is stopped signs nothing and says so', async () => {
    const kept = await mkdtemp(join(folder, 'kept-'))
    const stopped = await runCli(
      database.connectionString,
      ['audit', 'checkpoint', '--key', key, '--folder', kept],
      undefined,
      { signal: AbortSignal.abort() },
    )
    expect(stopped).toMatchObject({ exitCode: 1, stdout: '', stderr: 'stopped; nothing was signed\n' })
    expect(await readdir(kept)).toEqual([])
  })

  it.each([
    ['nowhere to write to', [], 2, /--out: expected a path/],
    [
      'a path of another name',
      ['--out', 'x'],
      2,
      /options\.out: expected a path that ends with \.checkpoint/,
    ],
    ['a folder that is not there', ['--folder', '/no/such/folder'], 2, /options\.folder/],
    [
      'a previous one that is not there',
      ['--out', 'x.checkpoint', '--previous', '/no.checkpoint'],
      2,
      /options\.previous/,
    ],
  ])('with %s ends with the right code', async (_, argv, exitCode, message) => {
    const result = await run('checkpoint', '--key', key, ...argv)
    expect(result).toMatchObject({ exitCode, stdout: '' })
    expect(result.stderr).toMatch(message)
  })

  it('does not sign with a key that others can use, or that is none', async () => {
    const out = join(folder, 'never.checkpoint')
    const open = join(folder, 'open-key')
    await writeFile(open, await readFile(key))
    await chmod(open, 0o644)
    const refused = await run('checkpoint', '--key', open, '--out', out)
    if (platform() !== 'win32') {
      expect(refused).toMatchObject({ exitCode: 1, stdout: '' })
      expect(refused.stderr).toMatch(/others than its owner[\s\S]*AUDIT_KEY_UNUSABLE[\s\S]*chmod 600/)
    }
    const publicKey = await run('checkpoint', '--key', `${key}.pub`, '--out', out)
    expect(publicKey).toMatchObject({ exitCode: 1 })
    expect(await run('checkpoint', '--key', '/no/such/key', '--out', out)).toMatchObject({ exitCode: 2 })
    expect(await readdir(folder)).not.toContain('never.checkpoint')
  })
})
