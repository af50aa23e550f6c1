import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readVerifyRequest } from '../../src/audit/verify/verify-request.ts'
import { type AuditVerification, RawJson, type Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { jsonText } from './json-text.ts'
import { append, newChain, tamper } from './signed-chains.ts'
import { verificationText } from './verification-text.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

/** The verification of one host, which goes by the name of H. */
async function found(hostId: string): Promise<string> {
  return verificationText(await store.verifyAuditChain({ hostId }), { H: hostId })
}

describe('a chain that nobody touched', () => {
  it('is intact, and it is said what was checked of it and what was not', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 3, 'own')
    await append(database, hostId, 2, 'given')
    await append(database, hostId, 1, 'own')
    expect(await store.verifyAuditChain({ hostId })).toEqual({
      verdict: 'intact',
      findings: [],
      findingCount: 0,
      findingsByKind: {},
      hosts: 1,
      entries: 6,
      checked: { recomputed: 4, rowProtected: 2, unprotected: 0, unconfirmed: 0 },
      prunings: { chains: 0, verified: 0 },
      checkpoint: null,
      notChecked: ['cut-tails', 'missing-hosts', 'rewritten-chains', 'other-hosts', 'given-event-hashes'],
      table: 'public.audit_entries',
      readAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    } satisfies AuditVerification)
  })

  it('is intact with any JSON that PostgreSQL takes, appended or brought by a caller (F31)', async () => {
    const texts = fc.sample(jsonText, 400)
    const [own, given] = [await newChain(database), await newChain(database)]
    await store.appendAuditEntries(
      own,
      texts.map(text => RawJson.fromText(text)),
    )
    let prevHash = '0'.repeat(64)
    for (const [index, text] of texts.slice(0, 100).entries()) {
      const eventHash = String(index).padStart(64, 'a')
      const payload = RawJson.fromText(text)
      await store.insertAuditEntry({ hostId: given, sequenceNum: index + 1, eventHash, prevHash, payload })
      prevHash = eventHash
    }
    expect([await found(own), await found(given)]).toEqual(['intact', 'intact'])
  })

  it('is intact although its host was removed, which a foreign key usually prevents', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 2)
    await tamper(
      database,
      `ALTER TABLE hosts DISABLE TRIGGER ALL; DELETE FROM hosts WHERE host_id = '${hostId}'; ALTER TABLE hosts ENABLE TRIGGER ALL`,
    )
    expect(await found(hostId)).toBe('intact')
  })

  it('is intact with payloads of any size, and damage is found in them', async () => {
    const hostId = await newChain(database)
    const long = (size: number) => ({ text: 'é"\\'.repeat(size / 4) })
    await store.appendAuditEntries(hostId, [long(1000), long(9000), {}, long(4_000_000), long(8192), {}])
    expect(await found(hostId)).toBe('intact')
    const change = `payload = jsonb_set(payload, '{text}', to_jsonb(overlay(payload->>'text' PLACING 'x' FROM 3000)))`
    await tamper(
      database,
      `UPDATE audit_entries SET ${change} WHERE host_id = '${hostId}' AND sequence_num IN (2, 4)`,
    )
    expect(await found(hostId)).toBe('damaged: altered-row H2, altered-row H4')
  })
})

describe('numbers beyond 2^53', () => {
  it('are told digit by digit', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 3)
    await tamper(
      database,
      `UPDATE audit_entries SET sequence_num = 9223372036854775807 WHERE host_id = '${hostId}' AND sequence_num = 2`,
    )
    expect(await found(hostId)).toBe('damaged: reordered H9223372036854775807')
    await tamper(
      database,
      `UPDATE audit_entries SET sequence_num = 9007199254740993 WHERE host_id = '${hostId}' AND sequence_num > 3; UPDATE audit_entries SET payload = '{}' WHERE host_id = '${hostId}' AND sequence_num > 3`,
    )
    const { findings } = await store.verifyAuditChain({ hostId })
    expect(findings.map(({ kind, sequenceNum, expected }) => [kind, sequenceNum, expected])).toEqual([
      ['gap', '2', 'entry 2'],
      ['gap', '4', 'entries 4 to 9007199254740992'],
      ['unconfirmed', '9007199254740993', 'an entry that it links to'],
    ])
  })
})

describe('entries from before the protection', () => {
  it('are counted as not protected, and make the verdict "cannot tell"', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 4, 'unprotected')
    await append(database, hostId, 3)
    const verification = await store.verifyAuditChain({ hostId })
    expect(verificationText(verification, { H: hostId })).toBe('cannot-tell: unprotected H4')
    expect(verification).toMatchObject({
      checked: { recomputed: 3, rowProtected: 0, unprotected: 4, unconfirmed: 0 },
      notChecked: expect.arrayContaining(['unprotected-entries']),
    })
  })

  it.each([
    ['a deleted one', 'DELETE FROM audit_entries WHERE sequence_num = 2 AND', 'gap H2'],
    ['the last one deleted', 'DELETE FROM audit_entries WHERE sequence_num = 4 AND', 'gap H4'],
    [
      'another event hash',
      `UPDATE audit_entries SET event_hash = repeat('e', 64) WHERE sequence_num = 2 AND`,
      'broken-link H3',
    ],
    [
      'another event hash of the last one',
      `UPDATE audit_entries SET event_hash = repeat('e', 64) WHERE sequence_num = 4 AND`,
      'broken-link H5',
    ],
    [
      'another previous hash',
      `UPDATE audit_entries SET prev_hash = repeat('e', 64) WHERE sequence_num = 2 AND`,
      'broken-link H2',
    ],
    [
      'two of them swapped',
      'UPDATE audit_entries SET sequence_num = 5 - sequence_num WHERE sequence_num IN (2, 3) AND',
      'reordered H2, reordered H3',
    ],
  ])('show what their numbers and previous hashes do: %s', async (_, sql, expected) => {
    const hostId = await newChain(database)
    await append(database, hostId, 4, 'unprotected')
    await append(database, hostId, 3)
    await tamper(
      database,
      `ALTER TABLE audit_entries DROP CONSTRAINT audit_host_sequence_unique;
       ${sql} host_id = '${hostId}';
       ALTER TABLE audit_entries ADD CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num)`,
    )
    const verification = await store.verifyAuditChain({ hostId })
    const damage = verification.findings.filter(({ kind }) => kind !== 'unprotected')
    expect(verificationText({ ...verification, findings: damage }, { H: hostId })).toBe(
      `damaged: ${expected}`,
    )
  })

  it('written after protected ones, by a client that knows no better, are damage', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 2)
    await database.sql('ALTER TABLE audit_entries DISABLE TRIGGER USER')
    await append(database, hostId, 2, 'unprotected')
    await append(database, hostId, 1)
    await database.sql('ALTER TABLE audit_entries ENABLE TRIGGER USER')
    expect(await found(hostId)).toBe('damaged: protection-removed H3, protection-removed H4')
  })
})

describe('columns that lost their constraints', () => {
  it('are no place to hide in', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 23)
    const nullable = [
      'host_id',
      'sequence_num',
      'prev_hash',
      'event_hash',
      'payload',
      'created_at',
      'hash_version',
    ]
    const set = (sequenceNum: number, columns: string) =>
      `UPDATE audit_entries SET ${columns} WHERE host_id = '${hostId}' AND sequence_num = ${sequenceNum};`
    await tamper(
      database,
      `ALTER TABLE audit_entries ALTER event_hash TYPE TEXT;
       ${nullable.map(column => `ALTER TABLE audit_entries ALTER ${column} DROP NOT NULL;`).join('')}
       ${set(2, 'prev_hash = NULL')} ${set(5, 'event_hash = event_hash || chr(10)')} ${set(8, 'payload = NULL')}
       ${set(11, 'created_at = NULL')} ${set(14, 'hash_version = NULL')} ${set(17, 'sequence_num = NULL')}
       ${set(20, 'host_id = NULL')} ${set(23, 'event_hash = NULL')}`,
    )
    const { findings } = await store.verifyAuditChain({ maxFindings: 1000 })
    await tamper(
      database,
      `DELETE FROM audit_entries WHERE host_id = '${hostId}' OR host_id IS NULL;
       ALTER TABLE audit_entries ALTER event_hash TYPE CHAR(64);
       ${nullable.map(column => `ALTER TABLE audit_entries ALTER ${column} SET NOT NULL;`).join('')}`,
    )
    const damage = findings.filter(finding => finding.hostId === hostId || finding.hostId === null)
    expect(damage.map(({ kind, sequenceNum, found: what }) => [kind, sequenceNum, what])).toEqual([
      // The row that has lost its host.
      ['gap', '1', 'none'],
      ['unconfirmed', '20', 'none'],
      ['reordered', null, 'sequence_num NULL'],
      ['altered-row', '2', 'prev_hash NULL'],
      ['altered-row', '5', 'a line feed'],
      ['altered-row', '8', 'a row with the hash none: the payload is not JSON'],
      ['altered-row', '11', expect.stringMatching(/^a row with the hash [0-9a-f]{64}$/)],
      ['altered-row', '14', 'hash_version NULL'],
      ['gap', '20', 'none'],
      ['altered-row', '23', expect.stringMatching(/^a row with the hash [0-9a-f]{64}$/)],
    ])
  })
})

describe('a verification', () => {
  it('keeps as many findings as were asked for, and counts all, also where a whole chain is damaged', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 3000)
    await tamper(database, `UPDATE audit_entries SET payload = '{}' WHERE host_id = '${hostId}'`)
    const { findings, findingCount, findingsByKind, checked } = await store.verifyAuditChain({
      hostId,
      maxFindings: 7,
    })
    expect(findings.map(({ sequenceNum }) => sequenceNum)).toEqual(['1', '2', '3', '4', '5', '6', '7'])
    expect([findingCount, findingsByKind]).toEqual([3000, { 'altered-row': 3000 }])
    expect(checked.unconfirmed).toBe(3000)
  })

  it('finds every row of a long chain again that was moved on by one', async () => {
    const hostId = await newChain(database)
    await append(database, hostId, 3000)
    await tamper(
      database,
      `UPDATE audit_entries SET sequence_num = -sequence_num WHERE host_id = '${hostId}' AND sequence_num > 10;
       UPDATE audit_entries SET sequence_num = 1 - sequence_num WHERE host_id = '${hostId}' AND sequence_num < 0`,
    )
    const { findingsByKind, checked } = await store.verifyAuditChain({ hostId })
    expect([findingsByKind, checked.recomputed]).toEqual([{ reordered: 2990 }, 3000])
  })

  it('tells how far it is', async () => {
    const seen: number[] = []
    const { entries } = await store.verifyAuditChain({ onProgress: progress => seen.push(progress.entries) })
    expect(seen.at(-1)).toBe(entries)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })

  it('stops when it is asked to, with the reason, and leaves no statement running', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const stopped = store.verifyAuditChain({ signal: abort.signal, onProgress: () => abort.abort(reason) })
    expect(await rejection(stopped)).toBe(reason)
    expect(await rejection(store.verifyAuditChain({ signal: abort.signal }))).toBe(reason)
    await expect
      .poll(async () =>
        database.sql(
          `SELECT FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database() AND pid <> pg_backend_pid()`,
        ),
      )
      .toEqual([])
  })

  it('is not cut by a time limit of the database', async () => {
    await database.alter("SET statement_timeout = '1s'")
    const other = await openStore(database)
    try {
      const locked = database.sql(
        'BEGIN; SET LOCAL statement_timeout = 0; LOCK TABLE audit_entries; SELECT pg_sleep(2); COMMIT',
      )
      await expect
        .poll(() =>
          database.sql(
            `SELECT 1 FROM pg_locks WHERE relation = 'audit_entries'::regclass AND mode = 'AccessExclusiveLock' AND granted`,
          ),
        )
        .toHaveLength(1)
      expect((await other.verifyAuditChain()).entries).toBeGreaterThan(0)
      await locked
    } finally {
      await database.alter('RESET statement_timeout')
      await other.close()
    }
  })

  it('ends when the store closes', async () => {
    const other = await openStore(database)
    const closed = Promise.withResolvers<unknown>()
    const verified = rejection(other.verifyAuditChain({ onProgress: () => closed.resolve(other.close()) }))
    await closed.promise
    expect(await verified).toMatchObject({ code: 'STORE_CLOSED' })
  })

  it.each([
    [{ hostId: 'web-1' }, 'options.hostId'],
    [{ checkpoint: 'now.txt', key: 'example.com/audit+00000000+AA==' }, 'options.key'],
    [{ checkpoint: 'now.txt' }, 'options.checkpoint'],
    [{ maxFindings: 0 }, 'options.maxFindings'],
    [{ checkpiont: 'now.checkpoint' }, 'options.checkpiont'],
    [{ signal: 'now' }, 'options.signal'],
    [{ onProgress: 1 }, 'options.onProgress'],
  ])('refuses %j', async (options, field) => {
    await expect(readVerifyRequest(options)).rejects.toMatchObject({ field })
  })
})
