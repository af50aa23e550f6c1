import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { append, type EntryKind, newChain, tamper } from '../audit/signed-chains.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { type CliResult, jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
let folder = ''
let keyFile = ''
let hostId = ''
let made = 0

const audit = (...words: string[]): Promise<CliResult> =>
  runCli(database.connectionString, ['audit', ...words])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-cli-evidence-'))
  keyFile = join(folder, 'audit-key')
  await audit('keygen', '--name', 'example.com/audit', '--out', keyFile)
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(async () => {
  await tamper(database, 'TRUNCATE audit_entries, audit_prunings')
  hostId = await newChain(database)
})

/** Exports all entries of a chain of such kinds. */
async function exportChain(...kinds: EntryKind[]): Promise<{ bundle: string; exported: CliResult }> {
  for (const kind of kinds) await append(database, hostId, 2, kind)
  const checkpoint = join(folder, `${made++}.checkpoint`)
  const bundle = join(folder, `${made}.evidence`)
  await audit('checkpoint', '--key', keyFile, '--out', checkpoint)
  const held = ['--checkpoint', checkpoint, '--key', `${keyFile}.pub`]
  return { bundle, exported: await audit('export', '--host', hostId, ...held, '--out', bundle) }
}

const verifyBundle = (bundle: string, ...flags: string[]) =>
  audit('verify-bundle', bundle, '--key', `${keyFile}.pub`, ...flags)

describe('audit export, audit verify-bundle and audit prune', () => {
  it('take the oldest entries out, into evidence that verifies by itself', async () => {
    const { bundle, exported } = await exportChain('own', 'given')
    expect(exported).toMatchObject({ exitCode: 0, stderr: '' })
    expect(exported.stdout).toBe(`${bundle}  entries 1 to 4 (4)\n`)
    const verified = await verifyBundle(bundle)
    expect(verified).toMatchObject({ exitCode: 0, stderr: '' })
    expect(verified.stdout).toMatch(/^intact\n/)
    expect(verified.stdout).toContain('of 2 the row is proven, but not the event hash')
    const pruned = await audit(
      'prune',
      ...['--host', hostId, '--bundle', bundle, '--key', keyFile, '--actor', 'alice'],
    )
    expect(pruned).toMatchObject({ exitCode: 0, stderr: '' })
    expect(pruned.stdout).toBe('entries 1 to 4 (4) are deleted; entry 5 says so\n')
    expect(await audit('verify', '--key', `${keyFile}.pub`)).toMatchObject({ exitCode: 0 })
    await tamper(database, 'DELETE FROM audit_entries')
    const cut = await audit('verify', '--key', `${keyFile}.pub`)
    expect(cut).toMatchObject({ exitCode: 3 })
    expect(cut.stdout).toContain('tail-missing')
  })

  it('say of entries that nothing protected that they are not proven, and end with 4', async () => {
    const { bundle, exported } = await exportChain('unprotected', 'own')
    expect(exported.stdout).toBe(
      `${bundle}  entries 1 to 4 (4)\nnothing protected the first 2: what they hold is not proven\n`,
    )
    const verified = await verifyBundle(bundle)
    expect(verified).toMatchObject({ exitCode: 4, stderr: '' })
    expect(verified.stdout).toMatch(/^cannot-tell\n\nunprotected at entry 2: expected hash_version 1/)
    expect(verified.stdout).toContain('of 2 nothing is proven but the place')
    expect(jsonLines((await verifyBundle(bundle, '--json')).stdout)).toMatchObject([
      { verdict: 'cannot-tell', unprotected: 2, recomputed: 2 },
    ])
  })

  it('end with 1 and delete nothing when the database holds something else by now', async () => {
    const { bundle } = await exportChain('own')
    await tamper(database, `UPDATE audit_entries SET payload = '{}' WHERE sequence_num = 1`)
    const pruned = await audit(
      'prune',
      ...['--host', hostId, '--bundle', bundle, '--key', keyFile, '--actor', 'alice'],
    )
    expect(pruned.exitCode).toBe(1)
    expect(pruned.stderr).toContain('entry 1')
    expect(await database.sql('SELECT count(*)::int AS count FROM audit_entries')).toEqual([{ count: 2 }])
    expect((await readdir(folder)).filter(name => name.endsWith('.tmp'))).toEqual([])
  })
})
