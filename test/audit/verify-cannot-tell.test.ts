/** F34: where it cannot be told whether the log is intact, that is the verdict. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { generateAuditKey, isRetryable, type Store, type VerifyAuditOptions } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { waitForWaiters } from '../store/lock-alerts.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, newChain, tamper } from './signed-chains.ts'
import { verificationText } from './verification-text.ts'

const database = useTestDatabase()
const key = generateAuditKey('example.com/audit')
let store: Store
let folder = ''
let hostId = ''
let checkpoint = ''
let signed = 0

beforeAll(async () => {
  store = await openStore(database)
  folder = await mkdtemp(join(tmpdir(), 'tripwire-cannot-tell-'))
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  await tamper(database, 'TRUNCATE audit_entries')
  hostId = await newChain(database)
  await append(database, hostId, 5)
  checkpoint = join(folder, `${signed++}.checkpoint`)
  await store.createAuditCheckpoint({ key: key.privateKey, out: checkpoint })
})

async function found(options: VerifyAuditOptions, by: Store = store): Promise<string> {
  return verificationText(await by.verifyAuditChain(options), { H: hostId })
}

describe('F34: a checkpoint that cannot be trusted', () => {
  it('is not used, and the verdict is "cannot tell": without a key', async () => {
    expect(await found({ checkpoint })).toBe('cannot-tell: no-key')
    const { checkpoint: used, notChecked } = await store.verifyAuditChain({ checkpoint })
    expect(used).toBeNull()
    expect(notChecked).toEqual(['cut-tails', 'missing-hosts', 'rewritten-chains'])
  })

  it.each(['example.com/audit', 'example.com/other'])('with the wrong key, of the name %s', async name => {
    const wrong = generateAuditKey(name).publicKey
    expect(await found({ checkpoint, key: wrong })).toBe('cannot-tell: wrong-key')
  })

  it.each([
    ['its note', '.checkpoint', (text: string) => text.replace('entries 5', 'entries 4')],
    ['its signature', '.checkpoint', (text: string) => text.replace(/[^A](A*.{8})\n$/, 'A$1\n')],
    ['its heads', '.heads', (text: string) => text.replace(' 5 ', ' 4 ')],
    ['all of it', '.checkpoint', () => 'nothing'],
  ])('with another text in %s', async (_, end, change) => {
    const path = checkpoint.replace('.checkpoint', end)
    await writeFile(path, change(await readFile(path, 'utf8')))
    expect(await found({ checkpoint, key: key.publicKey })).toBe('cannot-tell: checkpoint-unusable')
  })

  it('without its heads', async () => {
    await rm(checkpoint.replace('.checkpoint', '.heads'))
    expect(await found({ checkpoint, key: key.publicKey })).toBe('cannot-tell: checkpoint-unusable')
  })

  it('hides no damage that the chains show', async () => {
    await tamper(database, 'DELETE FROM audit_entries WHERE sequence_num = 2')
    expect(await found({ checkpoint })).toBe('damaged: no-key, gap H2')
  })

  it('that is not there is a wrong option, and so is a key that is none', async () => {
    const missing = join(folder, 'missing.checkpoint')
    expect(
      await rejection(store.verifyAuditChain({ checkpoint: missing, key: key.publicKey })),
    ).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'options.checkpoint',
    })
    const file = join(folder, 'not-a-key')
    await writeFile(file, 'nothing')
    for (const wrong of [file, key.privateKey]) {
      expect(await rejection(store.verifyAuditChain({ checkpoint, key: wrong }))).toMatchObject({
        code: 'AUDIT_KEY_UNUSABLE',
      })
    }
  })
})

describe('F34: an entry of a version that is not known', () => {
  const hash = 'ab'.repeat(32)
  const set = (columns: string, where: string) =>
    tamper(database, `UPDATE audit_entries SET ${columns} WHERE host_id = '${hostId}' AND ${where}`)

  /** The findings that name a version, and that nothing is called intact, with and without a checkpoint. */
  async function versionsFound(): Promise<readonly string[]> {
    const alone = await store.verifyAuditChain()
    for (const verification of [
      alone,
      await store.verifyAuditChain({ hostId }),
      await store.verifyAuditChain({ checkpoint, key: key.publicKey }),
    ])
      expect(verification.verdict).not.toBe('intact')
    const refused = await rejection(store.createAuditCheckpoint({ key: key.privateKey }))
    expect(refused).toMatchObject({ code: 'AUDIT_DAMAGED' })
    return alone.findings
      .filter(({ found }) => found.includes('hash_version'))
      .map(({ kind, sequenceNum, found }) => `${kind} ${sequenceNum}: ${found}`)
  }

  it.each([1, 3, 5])('as entry %d is found with its version, whatever its hashes are', async number => {
    for (const columns of [`event_hash = '${hash}'`, `row_hash = '${hash}'`, `prev_hash = '${hash}'`]) {
      await tamper(database, 'TRUNCATE audit_entries')
      await append(database, hostId, 5)
      await set(`hash_version = 7, ${columns}`, `sequence_num = ${number}`)
      expect(await versionsFound()).toEqual([`unknown-version ${number}: hash_version 7`])
    }
  })

  it('as the only one, as every one, and after entries of version 0', async () => {
    await set(`hash_version = 7, event_hash = '${hash}'`, 'true')
    expect(await versionsFound()).toHaveLength(5)
    await tamper(database, 'DELETE FROM audit_entries WHERE sequence_num > 1')
    expect(await found({})).toBe('cannot-tell: unknown-version H1')
    await tamper(database, 'TRUNCATE audit_entries')
    await append(database, hostId, 2, 'unprotected')
    await append(database, hostId, 1)
    await set(`hash_version = 7, event_hash = '${hash}'`, 'sequence_num = 3')
    expect(await found({})).toBe('cannot-tell: unprotected H2, unknown-version H3')
  })

  it('and is one that was altered where it still gives its hash of version 1', async () => {
    for (const number of [1, 3, 5]) {
      await set('hash_version = 7', `sequence_num = ${number}`)
      expect(await versionsFound()).toEqual([`altered-row ${number}: hash_version 7`])
      await set('hash_version = 1', `sequence_num = ${number}`)
    }
  })

  it('is no evidence', async () => {
    await set('hash_version = 7', 'sequence_num = 3')
    const options = { hostId, checkpoint, key: key.publicKey, out: join(folder, 'none.evidence') }
    expect(await rejection(store.exportAuditEvidence(options))).toMatchObject({
      code: 'AUDIT_NOT_PROVABLE',
      message: expect.stringContaining('hash_version 7'),
    })
  })
})

describe('F34: where there is nothing to be checked', () => {
  it('the verdict is "cannot tell", unless a checkpoint says that there was nothing', async () => {
    await tamper(database, 'TRUNCATE audit_entries')
    expect(await found({})).toBe('cannot-tell: no-entries')
    const empty = join(folder, 'empty.checkpoint')
    await store.createAuditCheckpoint({ key: key.privateKey, out: empty })
    expect(await found({ checkpoint: empty, key: key.publicKey })).toBe('intact')
  })

  it('so it is for a host that has no chain, with and without a checkpoint', async () => {
    const none = await newChain(database)
    expect(await found({ hostId: none })).toBe('cannot-tell: no-entries')
    expect(await found({ hostId: none, checkpoint, key: key.publicKey })).toBe('cannot-tell: no-entries')
    expect(await found({ hostId, checkpoint, key: key.publicKey })).toBe('intact')
  })
})

describe('F34: a log that cannot be read', () => {
  /** What somebody did, what is found, and how it is undone. */
  const CASES = [
    [
      'a missing table',
      'ALTER TABLE audit_entries RENAME TO audit_entries_gone',
      'ALTER TABLE audit_entries_gone RENAME TO audit_entries',
    ],
    [
      'a missing table of prunings',
      'ALTER TABLE audit_prunings RENAME TO audit_prunings_gone',
      'ALTER TABLE audit_prunings_gone RENAME TO audit_prunings',
    ],
    ...[
      'host_id',
      'sequence_num',
      'entry_id',
      'created_at',
      'prev_hash',
      'event_hash',
      'row_hash',
      'hash_version',
      'payload',
    ].map(
      column =>
        [
          `a missing column ${column}`,
          `ALTER TABLE audit_entries RENAME COLUMN ${column} TO gone`,
          `ALTER TABLE audit_entries RENAME COLUMN gone TO ${column}`,
        ] as const,
    ),
    [
      'a view in the place of the table',
      'ALTER TABLE audit_entries RENAME TO audit_entries_gone; CREATE VIEW audit_entries AS SELECT * FROM audit_entries_gone',
      'DROP VIEW audit_entries; ALTER TABLE audit_entries_gone RENAME TO audit_entries',
    ],
  ] as const

  it.each(CASES)('by %s', async (_, damage, undo) => {
    await database.sql(damage)
    try {
      const verification = await store.verifyAuditChain({ checkpoint, key: key.publicKey })
      expect(verificationText(verification, {})).toBe('cannot-tell: unreadable')
      expect(verification.findings[0]?.found).not.toBe('')
    } finally {
      await database.sql(undo)
    }
    expect(await found({ checkpoint, key: key.publicKey })).toBe('intact')
  })

  it('by a role without the right, or from which a policy hides rows', async () => {
    const role = `auditor_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'secret';
      GRANT SELECT ON schema_migrations, schema_compatibility, audit_prunings TO ${role}`)
    const url = new URL(database.connectionString)
    url.username = role
    url.password = 'secret'
    const reader = await openStore({ connectionString: url.href })
    try {
      expect(await found({}, reader)).toBe('cannot-tell: unreadable')
      await database.sql(`GRANT SELECT ON audit_entries TO ${role}`)
      expect(await found({}, reader)).toBe('intact')
      await database.sql(`
        ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
        CREATE POLICY the_first_only ON audit_entries FOR SELECT USING (sequence_num < 4)`)
      expect(await found({}, reader)).toBe('cannot-tell: unreadable')
    } finally {
      await reader.close()
      await database.sql(`
        DROP POLICY IF EXISTS the_first_only ON audit_entries;
        ALTER TABLE audit_entries DISABLE ROW LEVEL SECURITY;
        DROP OWNED BY ${role};
        DROP ROLE ${role}`)
    }
  })

  it('because the connection broke is an error, and may be tried again', async () => {
    const locker = new pg.Client({ connectionString: database.directConnectionString })
    onTestFinished(() => locker.end())
    await locker.connect()
    await locker.query('BEGIN; LOCK TABLE audit_entries')
    const broken = rejection(store.verifyAuditChain())
    await waitForWaiters(database, 1)
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    const error = await broken
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(isRetryable(error)).toBe(true)
    await locker.query('ROLLBACK')
    expect(await found({})).toBe('intact')
  })
})
