import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateAuditKey } from '../../src/index.ts'
import { append, newChain, tamper } from '../audit/signed-chains.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { type CliResult, jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
let folder = ''
let hosts: string[] = []
let keyFile = ''
let made = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-cli-verify-'))
  keyFile = join(folder, 'audit-key')
  await runCli(database.connectionString, [
    'audit',
    'keygen',
    '--name',
    'example.com/audit',
    '--out',
    keyFile,
  ])
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(async () => {
  await tamper(database, 'TRUNCATE audit_entries')
  hosts = [await newChain(database), await newChain(database)]
  for (const hostId of hosts) await append(database, hostId, 4)
})

const verify = (...flags: string[]): Promise<CliResult> =>
  runCli(database.connectionString, ['audit', 'verify', ...flags])

async function sign(): Promise<string[]> {
  const out = join(folder, `${made++}.checkpoint`)
  await runCli(database.connectionString, ['audit', 'checkpoint', '--key', keyFile, '--out', out])
  return ['--checkpoint', out, '--key', `${keyFile}.pub`]
}

/** Moments and hashes differ from run to run. */
const stable = (text: string) =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/[0-9a-f]{64}/g, 'HASH')
    .replaceAll(/\S*\/(\d+\.checkpoint)/g, 'FOLDER/$1')

describe('audit verify', () => {
  it('says what was checked and what was not, and ends with 0 when that is intact', async () => {
    const { exitCode, stdout, stderr } = await verify()
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stable(stdout)).toBe(`verdict     intact
read        public.audit_entries, as it stood at TIME
entries     8 of 2 hosts
checkpoint  none was used

checked
  8  every column, by the hash of the entry: it was recomputed, and links to the entry before

not checked
  whether the newest entries of a chain were removed
  whether whole chains were removed
  whether a chain was written anew with all its hashes, by somebody who knows this library

no findings
`)
  })

  it('holds the chains against a checkpoint, and ends with 3 over damage (F32)', async () => {
    const held = await sign()
    expect(await verify(...held)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(
        /^checkpoint {2}\S+\.checkpoint, 2 chains, signed by example\.com\/audit at 2/m,
      ),
    })
    await tamper(
      database,
      `DELETE FROM audit_entries WHERE host_id = '${hosts[0]}' AND sequence_num > 2;
       UPDATE audit_entries SET payload = '{}' WHERE host_id = '${hosts[1]}' AND sequence_num = 2`,
    )
    const { exitCode, stdout } = await verify(...held)
    expect(exitCode).toBe(3)
    expect(stdout).toMatch(/^verdict {5}DAMAGED$/m)
    expect(stdout).toMatch(
      new RegExp(`^tail-missing +${hosts[0]} +3 +entries 3 to 4 +entry 2 is the last$`, 'm'),
    )
    expect(stdout).toMatch(new RegExp(`^altered-row +${hosts[1]} +2 +a row with the hash`, 'm'))
    expect(stdout).toContain('altered-row (1): A column of the entry was changed')
    expect((await verify(...held, '--host', hosts[0] ?? '')).exitCode).toBe(3)
  })

  it('ends with 4 when it cannot tell (F34)', async () => {
    const [, checkpoint = ''] = await sign()
    const { exitCode, stdout } = await verify('--checkpoint', checkpoint)
    expect([exitCode, stdout.split('\n')[0]]).toEqual([4, 'verdict     cannot tell'])
    const wrong = generateAuditKey('example.com/audit').publicKey
    expect((await verify('--checkpoint', checkpoint, '--key', wrong)).exitCode).toBe(4)
    expect(await verify('--checkpoint', checkpoint, '--key', keyFile)).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining('[AUDIT_KEY_UNUSABLE]'),
    })
    await tamper(database, 'TRUNCATE audit_entries')
    expect((await verify()).exitCode).toBe(4)
    await database.sql('ALTER TABLE audit_entries RENAME TO audit_entries_gone')
    const unreadable = await verify()
    await database.sql('ALTER TABLE audit_entries_gone RENAME TO audit_entries')
    expect(unreadable).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('unreadable (1): ') })
  })

  it('ends with 4 when the database cannot be reached, and with 2 for a wrong option', async () => {
    const nowhere = await runCli('postgres://nobody:x@127.0.0.1:1/none', ['audit', 'verify'])
    expect(nowhere).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('[CONNECTION_FAILED]') })
    expect((await verify('--host', 'no-such-host')).exitCode).toBe(2)
    expect(
      (await verify('--checkpoint', join(folder, 'none.checkpoint'), '--key', `${keyFile}.pub`)).exitCode,
    ).toBe(2)
    expect((await verify('--chekpoint', 'x')).exitCode).toBe(2)
  })

  it('takes a host by its name, or by the id of one that was removed', async () => {
    const [first = '', second = ''] = hosts
    expect(jsonLines((await verify('--host', `host-${first}`, '--json')).stdout)).toMatchObject([
      { entries: 4 },
    ])
    await tamper(
      database,
      `ALTER TABLE hosts DISABLE TRIGGER ALL; DELETE FROM hosts WHERE host_id = '${second}'; ALTER TABLE hosts ENABLE TRIGGER ALL`,
    )
    expect(jsonLines((await verify('--host', second, '--json')).stdout)).toMatchObject([{ entries: 4 }])
  })

  it('gives the whole verification as one JSON object', async () => {
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${hosts[0]}' AND sequence_num = 2`)
    const { exitCode, stdout } = await verify('--json')
    expect(exitCode).toBe(3)
    expect(jsonLines(stdout)).toEqual([
      expect.objectContaining({
        verdict: 'damaged',
        findings: [{ kind: 'gap', hostId: hosts[0], sequenceNum: '2', expected: 'entry 2', found: 'none' }],
        findingCount: 1,
        entries: 7,
        checkpoint: null,
      }),
    ])
  })

  it('shows on a terminal how far it is, and ends with 4 when it is stopped', async () => {
    const shown = await runCli(database.connectionString, ['audit', 'verify'], undefined, { isTTY: true })
    expect(shown.stderr).toContain('8 entries of 2 hosts verified')
    const abort = new AbortController()
    abort.abort()
    const stopped = await runCli(database.connectionString, ['audit', 'verify'], undefined, {
      signal: abort.signal,
    })
    expect([stopped.exitCode, stopped.stderr]).toEqual([4, 'stopped; nothing can be told\n'])
  })
})
