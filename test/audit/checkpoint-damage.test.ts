import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseSigner } from '../../src/audit/note/audit-key.ts'
import { signNote } from '../../src/audit/note/signed-note.ts'
import { manifestText, type PruningManifest } from '../../src/audit/pruning/pruning-manifest.ts'
import { AuditDamagedError, generateAuditKey, type Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { append, newChain, rewrite, tamper } from './signed-chains.ts'

const database = useTestDatabase()
const { privateKey: key } = generateAuditKey('example.com/audit')
let store: Store
/** Six entries of each kind of chain; the checkpoints in the folder were made when there were two and three. */
let own: string
let given: string
let mixed: string
let folder: string

beforeAll(async () => {
  store = await openStore(database)
  folder = await mkdtemp(join(tmpdir(), 'tripwire-checkpoints-'))
  own = await newChain(database)
  given = await newChain(database)
  mixed = await newChain(database)
  for (const count of [2, 1]) {
    await append(database, own, count)
    await append(database, given, count, 'given')
    await append(database, mixed, count, 'unprotected')
    await database.sql(`CREATE TABLE backup_${count} AS TABLE audit_entries`)
    await store.createAuditCheckpoint({ key, folder })
  }
  await append(database, own, 3)
  await append(database, given, 3, 'given')
  await append(database, mixed, 3)
  await database.sql('CREATE TABLE backup_all AS TABLE audit_entries')
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

const restore = (backup: string) =>
  tamper(
    database,
    `DELETE FROM audit_prunings; DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM ${backup}`,
  )

let filesBefore: readonly string[]
beforeEach(async () => {
  filesBefore = (await readdir(folder)).sort()
})
afterEach(() => restore('backup_all'))

/** The findings over which nothing was signed. */
async function refusal(options: { readonly folder?: string } = { folder }): Promise<AuditDamagedError> {
  const error = await rejection(store.createAuditCheckpoint({ key, ...options }))
  expect((await readdir(folder)).sort()).toEqual(filesBefore)
  if (!(error instanceof AuditDamagedError)) throw error
  expect(error).toMatchObject({ code: 'AUDIT_DAMAGED' })
  expect(error.findingCount).toBeGreaterThanOrEqual(error.findings.length)
  return error
}

const placesOf = ({ findings }: AuditDamagedError) =>
  findings.map(({ kind, hostId, sequenceNum }) => [kind, hostId, sequenceNum])

describe('what is new', () => {
  const hosts = { own: () => own, given: () => given, mixed: () => mixed }

  it('is signed when it is not damaged, with and without an earlier checkpoint', async () => {
    expect(await store.createAuditCheckpoint({ key })).toMatchObject({
      verifiedEntries: 18,
      unprotectedEntries: 3,
    })
    const apart = await mkdtemp(join(folder, 'apart-'))
    expect(await store.createAuditCheckpoint({ key, folder: apart })).toMatchObject({ verifiedEntries: 18 })
    expect(await store.createAuditCheckpoint({ key, folder: apart })).toMatchObject({ verifiedEntries: 0 })
    await rm(apart, { recursive: true })
  })

  for (const kind of ['own', 'given', 'mixed'] as const) {
    it.each([
      ['payload', `'{"action": "nothing"}'`],
      ['created_at', `created_at + INTERVAL '1 microsecond'`],
      ['entry_id', 'gen_random_uuid()'],
      ['event_hash', `repeat('0', 64)`],
      ['event_hash', `'x'`],
      ['prev_hash', `repeat('f', 64)`],
      ['row_hash', `repeat('a', 64)`],
      ['hash_version', '0'],
      ['hash_version', '2'],
      ['sequence_num', 'sequence_num + 10'],
    ])(
      `of the chain '${kind}' is refused when %s is %s in any entry after the earlier checkpoint`,
      async (column, value) => {
        for (const number of [4, 5, 6]) {
          await tamper(
            database,
            `UPDATE audit_entries SET ${column} = ${value} WHERE host_id = '${hosts[kind]()}' AND sequence_num = ${number}`,
          )
          for (const options of [{ folder }, {}]) {
            const { findings } = await refusal(options)
            expect(findings.every(finding => finding.hostId === hosts[kind]())).toBe(true)
          }
          await restore('backup_all')
        }
      },
    )
  }

  it.each([
    ['an entry is missing', () => `DELETE FROM audit_entries WHERE host_id = '${own}' AND sequence_num = 5`],
    [
      'two entries are swapped',
      () => `
        UPDATE audit_entries SET sequence_num = sequence_num + 100 WHERE host_id = '${own}' AND sequence_num IN (4, 5);
        UPDATE audit_entries SET sequence_num = 109 - sequence_num WHERE host_id = '${own}' AND sequence_num > 100`,
    ],
    [
      'an entry of another host is put in',
      () => `
        UPDATE audit_entries SET host_id = '${own}', sequence_num = 7 WHERE host_id = '${given}' AND sequence_num = 6`,
    ],
  ])('is refused when %s', async (_, sql) => {
    await tamper(database, sql())
    for (const options of [{ folder }, {}]) expect(placesOf(await refusal(options))[0]?.[1]).toBe(own)
  })

  it('is refused when a number stands there twice', async () => {
    await database.sql('ALTER TABLE audit_entries DROP CONSTRAINT audit_host_sequence_unique')
    await tamper(
      database,
      `INSERT INTO audit_entries
       SELECT gen_random_uuid(), host_id, sequence_num, event_hash, prev_hash, '{}', created_at, hash_version, row_hash
       FROM audit_entries WHERE host_id = '${own}' AND sequence_num = 5`,
    )
    for (const options of [{ folder }, {}]) expect(placesOf(await refusal(options))[0]?.[1]).toBe(own)
    await restore('backup_all')
    await database.sql(
      'ALTER TABLE audit_entries ADD CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num)',
    )
  })

  it('was verified before where it is not new: an old damage is for the verification of all entries', async () => {
    await tamper(
      database,
      `UPDATE audit_entries SET payload = '{}' WHERE host_id = '${own}' AND sequence_num = 2`,
    )
    expect(placesOf(await refusal({}))).toEqual([['altered-row', own, '2']])
    await expect(store.createAuditCheckpoint({ key, previous: newest() })).resolves.toMatchObject({
      verifiedEntries: 9,
    })
  })
})

describe('the last entry of the earlier checkpoint, from which what is new goes on,', () => {
  const hosts = { own: () => own, given: () => given, mixed: () => mixed }
  const columns = [
    ['payload', `'{"action": "nothing"}'`],
    ['created_at', `created_at + INTERVAL '1 microsecond'`],
    ['entry_id', 'gen_random_uuid()'],
    ['event_hash', `repeat('e', 64)`],
    ['prev_hash', `repeat('f', 64)`],
    ['row_hash', `repeat('a', 64)`],
    ['hash_version', '0'],
    ['hash_version', '7'],
  ] as const

  for (const kind of ['own', 'given'] as const) {
    it.each(columns)(`in the chain '${kind}' is refused when its %s is %s`, async (column, value) => {
      for (const isFollowed of [true, false]) {
        const where = `WHERE host_id = '${hosts[kind]()}' AND sequence_num`
        if (!isFollowed) await tamper(database, `DELETE FROM audit_entries ${where} > 3`)
        await tamper(database, `UPDATE audit_entries SET ${column} = ${value} ${where} = 3`)
        const { findings } = await refusal()
        expect(findings.map(({ hostId, sequenceNum }) => [hostId, sequenceNum])).toContainEqual([
          hosts[kind](),
          '3',
        ])
        await restore('backup_all')
      }
    })
  }

  it.each([
    ['prev_hash', `repeat('f', 64)`],
    ['event_hash', `repeat('e', 64)`],
    ['row_hash', `repeat('a', 64)`],
  ])('of version 0 is refused when its %s is %s: nothing covers the rest of it', async (column, value) => {
    await tamper(
      database,
      `UPDATE audit_entries SET ${column} = ${value} WHERE host_id = '${mixed}' AND sequence_num = 3`,
    )
    expect(placesOf(await refusal()).map(([, hostId]) => hostId)).toContain(mixed)
  })

  it('is refused when the entry before it is missing', async () => {
    for (const host of [own, given, mixed]) {
      await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${host}' AND sequence_num = 2`)
      expect(placesOf(await refusal())).toContainEqual(['gap', host, '2'])
      await restore('backup_all')
    }
  })

  it('is one finding when it is missing', async () => {
    for (const host of [own, given]) {
      await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${host}' AND sequence_num = 3`)
      const places = placesOf(await refusal())
      expect(places.filter(([kind]) => kind === 'gap')).toEqual([['gap', host, '3']])
      await restore('backup_all')
    }
  })
})

const newest = () => join(folder, filesBefore.filter(name => name.endsWith('.checkpoint')).at(-1) ?? '')

describe('F32 what an earlier checkpoint has', () => {
  it('is refused when a tail is missing', async () => {
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${own}' AND sequence_num > 2`)
    expect(placesOf(await refusal())).toEqual([['tail-missing', own, '3']])
  })

  it('is refused when a host is missing, also with its row in hosts', async () => {
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${given}'`)
    expect(placesOf(await refusal())).toEqual([['host-missing', given, null]])
  })

  it('F33 is refused when the owner has emptied the table', async () => {
    await tamper(database, 'TRUNCATE audit_entries')
    expect(placesOf(await refusal())).toEqual([
      ['rolled-back', null, null],
      ...[own, given, mixed].toSorted().map(hostId => ['host-missing', hostId, null]),
    ])
  })

  it('is refused when a chain was written anew with all its hashes', async () => {
    await rewrite(database, own, 2)
    expect(placesOf(await refusal())).toEqual([['rewritten', own, '3']])
    await rewrite(database, own, 1)
    expect(placesOf(await refusal())).toEqual([['rewritten', own, '3']])
  })

  it('is refused when the database is one of the past', async () => {
    await restore('backup_2')
    expect(placesOf(await refusal())).toEqual([
      ['rolled-back', null, null],
      ...[own, given, mixed].toSorted().map(hostId => ['tail-missing', hostId, '3']),
    ])
  })

  it('is refused when the entry of a signed head is missing, and the chain goes on after it', async () => {
    await tamper(database, `DELETE FROM audit_entries WHERE host_id = '${own}' AND sequence_num = 3`)
    expect(placesOf(await refusal())).toContainEqual(['gap', own, '3'])
  })

  it('is refused when one of the past was restored and has gone on since', async () => {
    await restore('backup_2')
    await append(database, own, 4)
    await append(database, given, 4, 'given')
    await append(database, mixed, 4)
    const places = placesOf(await refusal())
    expect(places).toEqual([own, given, mixed].toSorted().map(hostId => ['rewritten', hostId, '3']))
  })

  it('is looked for in the newest of the folder also when an older one is given', async () => {
    await restore('backup_2')
    const [oldest = ''] = filesBefore
    await expect(store.createAuditCheckpoint({ key, previous: join(folder, oldest) })).resolves.toBeDefined()
    const error = await rejection(
      store.createAuditCheckpoint({ key, previous: join(folder, oldest), folder }),
    )
    expect(error).toMatchObject({ code: 'AUDIT_DAMAGED' })
  })

  it('alone shows a chain that was written anew: without it, such a chain is signed', async () => {
    await rewrite(database, own, 1)
    await expect(store.createAuditCheckpoint({ key })).resolves.toMatchObject({ verifiedEntries: 18 })
  })
})

describe('F35 a pruning', () => {
  /** What its row and its manifest tell, taken from the entries. */
  async function prune(through: number, manifestOf: (manifest: PruningManifest) => string): Promise<void> {
    const [row = {}, next] = await database.sql(
      `SELECT event_hash, created_at::text FROM audit_entries WHERE host_id = '${own}' AND sequence_num >= ${through} ORDER BY sequence_num`,
    )
    const eventHash = String(row['event_hash'])
    const manifest = manifestOf({
      hostId: own,
      first: '1',
      through: String(through),
      eventHash,
      linkHash: eventHash,
      bundleSha256: '0'.repeat(64),
      recordedAs: String(through + 1),
      recordLinkHash: String(next?.['event_hash'] ?? 'a'.repeat(64)),
      time: '2026-03-01T10:00:00.000000Z',
    })
    await tamper(
      database,
      `INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest)
       VALUES ('${own}', ${through}, '${eventHash}', '${eventHash}', '${row['created_at']}', '${manifest}');
       DELETE FROM audit_entries WHERE host_id = '${own}' AND sequence_num <= ${through}`,
    )
  }

  const signedBy = (privateKey: string) => (manifest: PruningManifest) => {
    const signer = parseSigner(privateKey)
    return signNote(manifestText(manifest), signer ? [signer] : [])
  }

  it.each([1, 2, 3, 4, 5])(
    'up to entry %d accounts for the entries when its manifest is signed',
    async through => {
      await prune(through, signedBy(key))
      const apart = await mkdtemp(join(tmpdir(), 'tripwire-checkpoints-'))
      const files = filesBefore.map(name => cp(join(folder, name), join(apart, name)))
      await Promise.all(files)
      const checkpoint = await store.createAuditCheckpoint({ key, folder: apart })
      expect(checkpoint.verifiedEntries).toBe(9 - Math.max(0, through - 3))
      expect(checkpoint.heads).toContain(`${own} 6 `)
      expect(await store.createAuditCheckpoint({ key })).toMatchObject({ verifiedEntries: 18 - through })
      await rm(apart, { recursive: true })
    },
  )

  it('that left nothing of the chain is refused: it is itself an entry', async () => {
    await prune(6, signedBy(key))
    for (const options of [{ folder }, {}])
      expect(placesOf(await refusal(options))).toEqual([['tail-missing', own, '7']])
  })

  it.each([
    ['nobody signed', () => 'nobody signed this', 'pruning-altered'],
    ['another key signed', signedBy(generateAuditKey('example.com/audit').privateKey), 'pruning-unverified'],
    [
      'was signed for fewer entries',
      (manifest: PruningManifest) => signedBy(key)({ ...manifest, through: '1' }),
      'pruning-altered',
    ],
    [
      'was signed for another host',
      (manifest: PruningManifest) => signedBy(key)({ ...manifest, hostId: given }),
      'pruning-altered',
    ],
  ])('whose manifest %s does not account for the entries', async (_, manifestOf, kind) => {
    for (const through of [2, 3, 4, 6]) {
      await prune(through, manifestOf)
      for (const options of [{ folder }, {}])
        expect(placesOf(await refusal(options))).toContainEqual([kind, own, String(through)])
      await restore('backup_all')
    }
  })
})

describe('a role that can read and nothing else', () => {
  it('signs with SELECT on four tables, and not when a policy hides rows from it', async () => {
    const role = `auditor_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'secret';
      GRANT SELECT ON audit_entries, audit_prunings, schema_migrations, schema_compatibility TO ${role}`)
    const url = new URL(database.connectionString)
    url.username = role
    url.password = 'secret'
    const reader = await openStore({ connectionString: url.href })
    try {
      expect(await reader.createAuditCheckpoint({ key })).toMatchObject({ verifiedEntries: 18 })
      await database.sql(`
        ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY;
        CREATE POLICY all_but_one ON audit_entries FOR SELECT USING (host_id <> '${own}')`)
      await expect(reader.createAuditCheckpoint({ key })).rejects.toMatchObject({
        code: 'QUERY_FAILED',
        sqlState: '42501',
      })
    } finally {
      await reader.close()
      await database.sql(`
        DROP POLICY IF EXISTS all_but_one ON audit_entries;
        ALTER TABLE audit_entries DISABLE ROW LEVEL SECURITY;
        DROP OWNED BY ${role};
        DROP ROLE ${role}`)
    }
  })
})
