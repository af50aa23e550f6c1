import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { tamper } from './signed-chains.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())
beforeEach(async () => {
  hostId = await newHost(store)
  await store.appendAuditEntries(hostId, [1, 2, 3])
  const prunings = await database.sql('SELECT FROM audit_prunings')
  if (prunings.length === 0) await recordPruning(randomUUID(), 0)
})

async function recordPruning(pruned: string, through: number): Promise<void> {
  await database.sql(
    `INSERT INTO hosts (host_id, hostname) VALUES ('${pruned}', '${pruned}') ON CONFLICT DO NOTHING;
     INSERT INTO audit_prunings (
       host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest
     )
     VALUES ('${pruned}', ${through}, repeat('0', 64), repeat('0', 64), now(), 'signed')`,
  )
}

const REFUSED = { code: '23001', constraint: 'audit_append_only' }

/** What would change or remove entries, as the superuser that owns the tables. */
const CHANGES: readonly (readonly [name: string, sql: string])[] = [
  ['UPDATE', `UPDATE audit_entries SET payload = '0'`],
  ['UPDATE of no row', `UPDATE audit_entries SET payload = '0' WHERE false`],
  ['DELETE', 'DELETE FROM audit_entries'],
  ['DELETE of one row', 'DELETE FROM audit_entries WHERE sequence_num = 3'],
  ['TRUNCATE', 'TRUNCATE audit_entries'],
  ['TRUNCATE with CASCADE', 'TRUNCATE audit_prunings, audit_entries CASCADE'],
  [
    'INSERT with ON CONFLICT DO UPDATE',
    `INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (entry_id) DO UPDATE SET payload = '0'`,
  ],
  [
    'MERGE that updates',
    `MERGE INTO audit_entries AS target USING audit_entries AS source ON target.entry_id = source.entry_id
     WHEN MATCHED THEN UPDATE SET payload = '0'`,
  ],
  [
    'MERGE that deletes',
    `MERGE INTO audit_entries AS target USING audit_entries AS source ON target.entry_id = source.entry_id
     WHEN MATCHED THEN DELETE`,
  ],
  ['UPDATE of a pruning', `UPDATE audit_prunings SET manifest = ''`],
  ['DELETE of a pruning', 'DELETE FROM audit_prunings'],
  ['TRUNCATE of the prunings', 'TRUNCATE audit_prunings'],
]

describe('F33: the audit log refuses', () => {
  it.each(CHANGES)('%s', async (_, sql) => {
    expect(await rejection(database.sql(sql))).toMatchObject(REFUSED)
    expect(problemsOf(await readChain(database, hostId))).toEqual([])
    expect((await readChain(database, hostId)).length).toBe(3)
  })

  it.each(CHANGES)('%s, in a session that applies the changes of a replica', async (_, sql) => {
    expect(await rejection(database.sql(`SET session_replication_role = replica; ${sql}`))).toMatchObject(
      REFUSED,
    )
    expect((await readChain(database, hostId)).length).toBe(3)
  })

  it('TRUNCATE of hosts, which would take the entries along', async () => {
    const truncate = 'TRUNCATE hosts CASCADE'
    // The trigger of hosts comes first, and rests in a session that applies the changes of a replica.
    expect(await rejection(database.sql(truncate))).toMatchObject({ code: REFUSED.code })
    const asReplica = await rejection(database.sql(`SET session_replication_role = replica; ${truncate}`))
    expect(asReplica).toMatchObject(REFUSED)
    expect((await readChain(database, hostId)).length).toBe(3)
  })

  it('the removal of a host that has entries', async () => {
    expect(await rejection(database.sql(`DELETE FROM hosts WHERE host_id = '${hostId}'`))).toMatchObject({
      constraint: 'fk_audit_host',
    })
  })

  it('the removal of more than a pruning covers', async () => {
    await recordPruning(hostId, 2)
    const remove = (last: number) =>
      database.sql(`DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num <= ${last}`)
    expect(await rejection(remove(3))).toMatchObject(REFUSED)
    expect((await readChain(database, hostId)).length).toBe(3)
    await remove(2)
    expect((await readChain(database, hostId)).map(row => row.sequence_num)).toEqual(['3'])
  })
})

const NOT_CONTINUED = { code: '23514', constraint: 'audit_entries_continue_chain' }

describe('F33: an INSERT of any client is refused', () => {
  const insert = (values: string) =>
    database.sql(
      `WITH head AS (
         SELECT host_id, sequence_num, event_hash
         FROM audit_entries
         WHERE host_id = '${hostId}'
         ORDER BY sequence_num DESC
         LIMIT 1
       )
       INSERT INTO audit_entries (hash_version, host_id, sequence_num, prev_hash, event_hash)
       SELECT 1, host_id, given.* FROM head, LATERAL (VALUES ${values}) AS given`,
    )
  const [A, B] = [`repeat('a', 64)`, `repeat('b', 64)`]

  it.each([
    ['that leaves a gap', `(sequence_num + 2, event_hash, ${A})`],
    [
      'that leaves a gap after its own first row',
      `(sequence_num + 1, event_hash, ${A}), (sequence_num + 3, ${A}, ${B})`,
    ],
    ['with another previous hash', `(sequence_num + 1, ${A}, ${B})`],
    [
      'whose second row has another previous hash',
      `(sequence_num + 1, event_hash, ${A}), (sequence_num + 2, event_hash, ${B})`,
    ],
    ['of number 0', `(0, repeat('0', 64), ${A})`],
    ['of a negative number', `(-1, repeat('0', 64), ${A})`],
  ])('%s', async (_, values) => {
    expect(await rejection(insert(values))).toMatchObject(NOT_CONTINUED)
    expect((await readChain(database, hostId)).length).toBe(3)
  })

  it('that forks the chain', async () => {
    const error = await rejection(insert(`(sequence_num, event_hash, ${A})`))
    expect(error).toMatchObject({ constraint: 'audit_host_sequence_unique' })
    const first = await rejection(insert(`(1, repeat('0', 64), ${A})`))
    expect(first).toMatchObject({ constraint: 'audit_host_sequence_unique' })
  })

  /** Continues a chain with one row in which something is not as it must be. */
  const insertNext = (columns: string, values: string) =>
    database.sql(`
      INSERT INTO audit_entries (host_id, sequence_num, prev_hash, ${columns})
      SELECT host_id, sequence_num + 1, event_hash, ${values}
      FROM lock_audit_chains(ARRAY['${hostId}'::uuid])`)

  it.each([
    ['that is not protected, after one that is', 'hash_version', '0', 'after an entry of version 1'],
    ['of a version that does not exist', 'hash_version', '2', 'hash_version must be 1'],
    ['of a negative version', 'hash_version', '-1', 'hash_version must be 1'],
    ['whose event hash has capital letters', 'event_hash', `repeat('A', 64)`, 'event_hash'],
    ['whose event hash is empty', 'event_hash', `''`, 'event_hash'],
    ['whose event hash is too short', 'event_hash', `repeat('a', 63)`, 'event_hash'],
    ['whose row hash has other letters', 'row_hash', `repeat('x', 64)`, 'row_hash'],
    ['whose row hash is empty', 'row_hash', `''`, 'row_hash'],
    ['of an endless time', 'created_at', `'infinity'`, 'created_at'],
    ['of a time before all others', 'created_at', `'-infinity'`, 'created_at'],
    ['of a time before our era', 'created_at', `'0044-03-15 12:00:00+00 BC'`, 'created_at'],
    ['of a time in 32 days', 'created_at', `now() + INTERVAL '32 days'`, 'created_at'],
  ])('%s', async (_, column, value, rule) => {
    const valid = { hash_version: '1', event_hash: A, row_hash: 'NULL', created_at: 'now()' }
    const row = { ...valid, [column]: value }
    const error = await rejection(insertNext(Object.keys(row).join(', '), Object.values(row).join(', ')))
    expect(error).toMatchObject({ ...NOT_CONTINUED, hint: expect.stringContaining(rule) })
    expect((await readChain(database, hostId)).length).toBe(3)
    await insertNext(Object.keys(valid).join(', '), Object.values(valid).join(', '))
  })

  it('that is not protected, after one that is in the same statement', async () => {
    hostId = await newHost(store)
    const rows = (first: number, second: number) =>
      database.sql(`
        INSERT INTO audit_entries (host_id, sequence_num, prev_hash, event_hash, hash_version)
        VALUES ('${hostId}', 1, repeat('0', 64), ${A}, ${first}), ('${hostId}', 2, ${A}, ${B}, ${second})`)
    const error = await rejection(rows(1, 0))
    expect(error).toMatchObject({ ...NOT_CONTINUED, message: expect.stringContaining('not protected') })
    await rows(0, 0)
    expect((await readChain(database, hostId)).length).toBe(2)
  })

  it('that is not protected and has a row hash', async () => {
    hostId = await newHost(store)
    const error = await rejection(insertNext('event_hash, row_hash', `${A}, ${B}`))
    expect(error).toMatchObject({ ...NOT_CONTINUED, hint: expect.stringContaining('row_hash must be NULL') })
    await insertNext('event_hash', A)
  })

  it('that is not protected, after a pruning', async () => {
    await recordPruning(hostId, 3)
    await database.sql(`DELETE FROM audit_entries WHERE host_id = '${hostId}'`)
    const error = await rejection(insertNext('event_hash', A))
    expect(error).toMatchObject({ ...NOT_CONTINUED, hint: expect.stringContaining('after a pruning') })
    await insertNext('event_hash, hash_version', `${A}, 1`)
  })

  it.each(['', 'x'.repeat(8193)])(
    'of a pruning whose manifest cannot be one: $length characters',
    async manifest => {
      const inserted = database.sql(
        `INSERT INTO audit_prunings (
         host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest
       )
       VALUES ('${hostId}', 1, repeat('0', 64), repeat('0', 64), now(), '${manifest}')`,
      )
      expect(await rejection(inserted)).toMatchObject({
        code: '23514',
        constraint: 'audit_prunings_manifest_is_short',
      })
    },
  )

  it('that fills a pruned prefix again', async () => {
    await recordPruning(hostId, 2)
    await database.sql(`DELETE FROM audit_entries WHERE host_id = '${hostId}' AND sequence_num <= 2`)
    expect(await rejection(insert(`(1, repeat('0', 64), ${A})`))).toMatchObject(NOT_CONTINUED)
  })

  it('but not one whose time lies 30 days ahead, or is that of an entry before that lies further ahead', async () => {
    await insertNext('event_hash, hash_version, created_at', `${A}, 1, now() + INTERVAL '30 days'`)
    await tamper(
      database,
      `UPDATE audit_entries SET created_at = now() + INTERVAL '1 year' WHERE host_id = '${hostId}' AND sequence_num = 4`,
    )
    const [ahead] = (await readChain(database, hostId)).slice(-1)
    const [entry] = await store.appendAuditEntries(hostId, ['not earlier'])
    expect(entry).toMatchObject({ sequenceNum: 5 })
    const [last] = (await readChain(database, hostId)).slice(-1)
    expect(last?.created_at).toBe(ahead?.created_at)
  })

  it('but not one that continues the chain, with several rows in any order', async () => {
    await insert(`(sequence_num + 2, ${A}, ${B}), (sequence_num + 1, event_hash, ${A})`)
    expect((await readChain(database, hostId)).length).toBe(5)
  })
})
