import { afterEach, describe, expect, it } from 'vitest'
import { linkHash } from '../../src/audit/link-hash.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { DamagedLog, type HostName, LAST, SIGNED } from './damaged-log.ts'
import { append, rewrite } from './signed-chains.ts'
import { verificationText } from './verification-text.ts'

const database = useTestDatabase()
const log = new DamagedLog(database)

afterEach(() => log.mend())

/** What is found alone, and with the checkpoint. */
async function found(): Promise<{ readonly alone: string; readonly held: string }> {
  const alone = await log.verify('alone')
  const held = await log.verify('with the checkpoint')
  for (const { entries, checked } of [alone, held]) {
    const { recomputed, rowProtected, unprotected, unconfirmed } = checked
    expect(recomputed + rowProtected + unprotected + unconfirmed).toBe(entries)
  }
  // What the checkpoint alone can tell is never passed over.
  expect(alone.notChecked).toEqual(expect.arrayContaining(['cut-tails', 'missing-hosts', 'rewritten-chains']))
  expect(held.notChecked).toContain('after-checkpoint')
  return { alone: verificationText(alone, log.hosts), held: verificationText(held, log.hosts) }
}

describe('a log that nobody touched', () => {
  it('is intact', async () => {
    expect(await found()).toEqual({ alone: 'intact', held: 'intact' })
  })
})

/** Each column of an entry, changed, and what is found then. */
const COLUMNS = [
  ['sequence_num', '500', 'reordered'],
  ['entry_id', 'gen_random_uuid()', 'altered-row'],
  ['created_at', "created_at + INTERVAL '1 microsecond'", 'altered-row'],
  ['prev_hash', "repeat('f', 64)", 'altered-row'],
  ['event_hash', "repeat('e', 64)", 'altered-row'],
  ['payload', `payload || '{"number": 5000}'`, 'altered-row'],
  ['hash_version', '0', 'altered-row'],
  ['hash_version', '2', 'altered-row'],
  ['row_hash', "repeat('d', 64)", 'altered-row'],
  // Blank, which CHAR(64) cannot tell from empty: not the absence of a hash.
  ['row_hash', "''", 'altered-row'],
  ['event_hash', "''", 'altered-row'],
  ['prev_hash', "''", 'altered-row'],
] as const

const POSITIONS = [
  [1, 'the first'],
  [5, 'a middle'],
  [SIGNED, 'the signed'],
  [LAST, 'the last'],
] as const

const KINDS: readonly (readonly [HostName, string])[] = [
  ['A', 'of ours'],
  ['B', 'with the hash of a caller'],
]

describe.each(KINDS)('in %s, entries %s', (host, _) => {
  describe.each(POSITIONS)('entry %i (%s)', sequenceNum => {
    it.each(COLUMNS)('%s set to %s: %s (F33)', async (column, change, kind) => {
      await log.damage(log.set(host, sequenceNum, `${column} = ${change}`))
      const expected = `damaged: ${kind} ${host}${kind === 'reordered' ? 500 : sequenceNum}`
      expect(await found()).toEqual({ alone: expected, held: expected })
    })
  })
})

describe('a column that is not in this table', () => {
  it('does not exist', async () => {
    const rows = await database.sql(
      `SELECT attname FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attnum > 0 AND NOT attisdropped`,
    )
    const tested = new Set([...COLUMNS.map(([column]) => column), 'host_id'])
    expect(new Set(rows.map(row => row['attname']))).toEqual(tested)
  })
})

interface Damage {
  readonly name: string
  /** SQL of the owner, or what our own functions do in the wrong hands. */
  readonly by: (() => string) | (() => Promise<void>)
  readonly alone: string
  /** Defaults to what is found alone. */
  readonly held?: string
}

const swap = (host: HostName, a: number, b: number) => () =>
  `UPDATE audit_entries SET sequence_num = ${a} + ${b} - sequence_num ${log.where(host, a)} OR (host_id = '${log.hosts[host]}' AND sequence_num = ${b})`

const copy = (host: HostName, sequenceNum: number, changes: string) =>
  `INSERT INTO audit_entries
   SELECT (copied).* FROM (
     SELECT jsonb_populate_record(entry, '${changes}') AS copied FROM audit_entries AS entry ${log.where(host, sequenceNum)}
   ) AS copies`

const give = (host: HostName, sequenceNum: number) => () =>
  log.set(host, sequenceNum, `host_id = '${log.hosts.Y}'`)

const DAMAGES: readonly Damage[] = [
  { name: 'the first entry deleted', by: () => log.remove('A', 1), alone: 'damaged: gap A1' },
  { name: 'the first three deleted', by: () => log.remove('A', 1, 3), alone: 'damaged: gap A1' },
  { name: 'a middle entry deleted', by: () => log.remove('A', 5), alone: 'damaged: gap A5' },
  { name: 'three middle entries deleted', by: () => log.remove('A', 4, 6), alone: 'damaged: gap A4' },
  {
    name: 'the signed entry deleted',
    by: () => log.remove('A', SIGNED),
    alone: 'damaged: gap A9',
  },
  {
    name: 'every other entry deleted',
    by: () => `DELETE FROM audit_entries WHERE host_id = '${log.hosts.A}' AND sequence_num % 2 = 0`,
    alone: 'damaged: gap A2, gap A4, gap A6, gap A8, gap A10',
  },
  {
    name: 'an entry deleted that had the hash of a caller: the next one cannot be recomputed',
    by: () => log.remove('B', 5),
    alone: 'damaged: gap B5, unconfirmed B6',
  },
  { name: 'neighbours swapped', by: swap('A', 4, 5), alone: 'damaged: reordered A4, reordered A5' },
  { name: 'entries far apart swapped', by: swap('A', 3, 8), alone: 'damaged: reordered A3, reordered A8' },
  {
    name: 'the first and the last swapped',
    by: swap('A', 1, 11),
    alone: 'damaged: reordered A1, reordered A11',
  },
  { name: 'the last two swapped', by: swap('A', 10, 11), alone: 'damaged: reordered A10, reordered A11' },
  {
    name: 'neighbours swapped, with hashes of a caller',
    by: swap('B', 4, 5),
    alone: 'damaged: reordered B4, reordered B5',
  },
  {
    name: 'entries far apart swapped, with hashes of a caller',
    by: swap('B', 3, 8),
    alone: 'damaged: reordered B3, reordered B8',
  },
  {
    name: 'three entries rotated',
    by: () => `UPDATE audit_entries SET sequence_num = 3 + (sequence_num - 2) % 3 ${log.where('A', 3, 5)}`,
    alone: 'damaged: reordered A3, reordered A4, reordered A5',
  },
  {
    name: 'a chain turned around',
    by: () => `UPDATE audit_entries SET sequence_num = 6 - sequence_num ${log.where('B', 1, 5)}`,
    alone: 'damaged: reordered B1, reordered B2, reordered B4, reordered B5',
  },
  {
    name: 'payloads swapped, numbers not',
    by: () => `UPDATE audit_entries AS entry SET payload = other.payload FROM audit_entries AS other
      WHERE entry.host_id = '${log.hosts.A}' AND other.host_id = entry.host_id
        AND (entry.sequence_num, other.sequence_num) IN ((5, 7), (7, 5))`,
    alone: 'damaged: altered-row A5, altered-row A7',
  },
  { name: 'a row doubled', by: () => copy('A', 5, '{}'), alone: 'damaged: duplicate A5' },
  {
    name: 'a row doubled, with another payload',
    by: () => copy('A', 5, '{"payload": {}}'),
    alone: 'damaged: duplicate A5',
  },
  { name: 'the last row doubled', by: () => copy('B', LAST, '{}'), alone: 'damaged: duplicate B11' },
  {
    name: 'an entry repeated at the end',
    by: () => copy('A', 5, '{"sequence_num": 12}'),
    alone: 'damaged: broken-link A12',
  },
  {
    name: 'an entry put over another',
    by: () => `${log.remove('A', 6)}; ${log.set('A', 5, 'sequence_num = 6')}`,
    alone: 'damaged: reordered A6, gap A6',
  },
  {
    name: 'an entry put in, and the others moved on',
    by: () =>
      `UPDATE audit_entries SET sequence_num = sequence_num + 1 ${log.where('A', 9, 11)}; ${copy('A', 3, '{"sequence_num": 9}')}`,
    alone: 'damaged: broken-link A9, reordered A10, reordered A11, reordered A12',
  },
  {
    name: 'the first entry given to another host',
    by: give('A', 1),
    alone: 'damaged: gap A1, altered-row Y1',
  },
  {
    name: 'a middle entry given to another host',
    by: give('A', 5),
    alone: 'damaged: gap A5, gap Y1, unconfirmed Y5',
  },
  {
    name: 'the signed entry given to another host, with the hash of a caller',
    by: give('B', SIGNED),
    alone: 'damaged: gap B9, unconfirmed B10, gap Y1, unconfirmed Y9',
  },
  {
    name: 'the first four without protection',
    by: () => `UPDATE audit_entries SET hash_version = 0 ${log.where('A', 1, 4)}`,
    alone: 'damaged: altered-row A1, altered-row A2, altered-row A3, altered-row A4',
  },
  {
    name: 'the first four without protection, and all of them altered',
    by: () => `UPDATE audit_entries SET hash_version = 0, payload = '{}' ${log.where('A', 1, 4)}`,
    alone: 'damaged: altered-row A4, unprotected A4',
  },
  {
    name: 'the last four without protection, and all of them altered',
    by: () => `UPDATE audit_entries SET hash_version = 0, payload = '{}' ${log.where('A', 8, 11)}`,
    alone:
      'damaged: protection-removed A8, protection-removed A9, protection-removed A10, protection-removed A11',
  },
  {
    name: 'a whole chain without protection, and all of it altered',
    by: () => `UPDATE audit_entries SET hash_version = 0, payload = '{}' ${log.where('A', 1, LAST)}`,
    alone: 'cannot-tell: unprotected A11',
    held: 'damaged: rewritten A9, unprotected A11',
  },
  {
    name: 'an entry with a version of the future',
    by: () => log.set('A', LAST, "hash_version = 7, payload = '{}'"),
    alone: 'cannot-tell: unknown-version A11',
  },
]

/** One entry written anew, with its own hashes but not those after it. */
const REWRITTEN_ALONE: readonly Damage[] = [
  {
    name: 'one entry rewritten with its hash',
    by: () => rewriteOne('A', 5),
    alone: 'damaged: broken-link A6',
  },
  {
    name: 'one entry of a caller rewritten, and its row hash: the next one does not fit the two any more',
    by: () => rewriteOne('B', 5),
    alone: 'damaged: altered-row B6',
  },
  {
    name: 'the last entry rewritten with its hash',
    by: () => rewriteOne('A', LAST),
    alone: 'intact',
  },
]

async function rewriteOne(host: HostName, sequenceNum: number): Promise<void> {
  const [row] = await database.sql(`
    SELECT entry.*, before.event_hash AS before_event, coalesce(before.row_hash, before.event_hash) AS before_link
    FROM audit_entries AS entry
    JOIN audit_entries AS before ON before.host_id = entry.host_id AND before.sequence_num = entry.sequence_num - 1
    ${log.where(host, sequenceNum).replaceAll(/host_id|sequence_num/g, 'entry.$&')}`)
  const isGiven = row?.['row_hash'] !== null
  const payload = '{"action": "nothing-happened"}'
  const hash = linkHash({
    hostId: log.hosts[host],
    sequenceNum,
    entryId: String(row?.['entry_id']),
    createdAt: '2026-03-01T10:00:00.000000Z',
    prevHash: String(row?.['before_event']),
    prevLink: String(row?.['before_link']),
    givenEventHash: isGiven ? String(row?.['event_hash']) : '',
    payload,
  })
  const columns = `payload = '${payload}', created_at = '2026-03-01T10:00:00Z', ${isGiven ? 'row_hash' : 'event_hash'} = '${hash}'`
  await log.damage(log.set(host, sequenceNum, columns))
}

/** What a chain alone cannot show (F32, F33). */
const UNSEEN: readonly Damage[] = [
  { name: 'what came after the checkpoint cut off', by: () => log.remove('A', 10, 11), alone: 'intact' },
  {
    name: 'the tail cut off',
    by: () => log.remove('A', 7, 11),
    alone: 'intact',
    held: 'damaged: tail-missing A7',
  },
  {
    name: 'the tail cut off, with hashes of a caller',
    by: () => log.remove('B', SIGNED, 11),
    alone: 'intact',
    held: 'damaged: tail-missing B9',
  },
  {
    name: 'a whole host deleted',
    by: () => log.remove('B', 1, LAST),
    alone: 'intact',
    held: 'damaged: host-missing B',
  },
  {
    name: 'the whole table emptied',
    by: () => 'TRUNCATE audit_entries',
    alone: 'cannot-tell: no-entries',
    held: 'damaged: rolled-back, host-missing A, host-missing B, host-missing C',
  },
  {
    name: 'an old dump restored',
    by: () => `${log.remove('A', 7, 11)}; ${log.remove('B', 8, 11)}; ${log.remove('C', 10, 11)}`,
    alone: 'intact',
    held: 'damaged: rolled-back, tail-missing A7, tail-missing B8',
  },
  {
    name: 'an old dump restored, and the log continued',
    by: async () => {
      await log.damage(`${log.remove('A', 7, 11)}; ${log.remove('B', 8, 11)}; ${log.remove('C', 10, 11)}`)
      await append(database, log.hosts.A, 4, 'own', 'restarted')
    },
    alone: 'intact',
    held: 'damaged: rewritten A9, tail-missing B8',
  },
  {
    name: 'a chain rewritten from its beginning, with all its hashes',
    by: () => rewrite(database, log.hosts.A, 1),
    alone: 'intact',
    held: 'damaged: rewritten A9',
  },
  {
    name: 'a chain rewritten from the signed entry on',
    by: () => rewrite(database, log.hosts.A, SIGNED),
    alone: 'intact',
    held: 'damaged: rewritten A9',
  },
  {
    name: 'a chain of a caller rewritten, under hashes of ours',
    by: () => rewrite(database, log.hosts.B, 3),
    alone: 'intact',
    held: 'damaged: rewritten B9',
  },
  {
    name: 'what came after the checkpoint rewritten',
    by: () => rewrite(database, log.hosts.A, SIGNED + 1),
    alone: 'intact',
  },
]

/** As the rows of a table. */
const rowsOf = (damages: readonly Damage[]) =>
  damages.map(({ name, by, alone, held = alone }) => [name, alone, held, by] as const)

describe('damage that the chains show (F33)', () => {
  it.each(rowsOf([...DAMAGES, ...REWRITTEN_ALONE]))('%s | alone %s | with the checkpoint %s', verifyDamage)
})

describe('damage that only the checkpoint shows (F32, F33)', () => {
  it.each(rowsOf(UNSEEN))('%s | alone %s | with the checkpoint %s', verifyDamage)
})

async function verifyDamage(_: string, alone: string, held: string, by: Damage['by']): Promise<void> {
  const sql = await by()
  if (typeof sql === 'string') await log.damage(sql)
  expect(await found()).toEqual({ alone, held })
}
