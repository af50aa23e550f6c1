/** Random damage to chains in memory: what was read is never called more intact than it is. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Head } from '../../src/audit/checkpoint/head.ts'
import { GENESIS_LINK, linkHash, unprotectedLinkHash } from '../../src/audit/link-hash.ts'
import { FindingList } from '../../src/audit/verify/finding-list.ts'
import { LogWalk } from '../../src/audit/verify/log-walk.ts'
import { NO_PRUNINGS } from '../../src/audit/verify/prunings.ts'
import type { AuditFindingKind, AuditVerdict } from '../../src/index.ts'
import type { EntryKind } from './signed-chains.ts'

const COLUMNS = [
  'hostId',
  'sequenceNum',
  'entryId',
  'createdAt',
  'prevHash',
  'eventHash',
  'rowHash',
  'version',
  'payload',
] as const
type Column = (typeof COLUMNS)[number]
/** A row as the server would print it. */
type Row = Readonly<Record<Column, string>>

const HOSTS = ['a', 'b', 'c'].map(digit => `${digit.repeat(8)}-0000-4000-8000-000000000000`)
const digest = (text: string) => createHash('sha256').update(text).digest('hex')

function chainOf(hostId: string, kinds: readonly EntryKind[]): Row[] {
  let eventHash = GENESIS_LINK
  let link = GENESIS_LINK
  return kinds.map((kind, index) => {
    const sequenceNum = String(index + 1)
    const given = kind === 'own' ? '' : digest(`${hostId} ${sequenceNum}`)
    const fields = {
      hostId,
      sequenceNum,
      entryId: `00000000-0000-4000-8000-${digest(`${hostId}${sequenceNum}`).slice(0, 12)}`,
      createdAt: `2026-03-01T10:00:00.${sequenceNum.padStart(6, '0')}`,
      prevHash: eventHash,
      payload: `{"number": ${sequenceNum}}`,
    }
    const hash = linkHash({
      ...fields,
      createdAt: `${fields.createdAt}Z`,
      prevLink: link,
      givenEventHash: given,
    })
    eventHash = kind === 'own' ? hash : given
    link = kind === 'unprotected' ? unprotectedLinkHash(given) : hash
    return {
      ...fields,
      createdAt: `"${fields.createdAt}"`,
      eventHash,
      // A mark before what is there, so that a blank one is not taken for none.
      rowHash: kind === 'given' ? `=${hash}` : '',
      version: kind === 'unprotected' ? '0' : '1',
    }
  })
}

const headOf = (chain: readonly Row[]): Head[] =>
  chain.slice(-1).map(({ hostId, sequenceNum, eventHash, rowHash, version }) => ({
    hostId,
    sequenceNum: BigInt(sequenceNum),
    linkHash: version === '0' ? unprotectedLinkHash(eventHash) : rowHash.slice(1) || eventHash,
  }))

const LARGEST = 2n ** 63n
const numberOf = ({ sequenceNum }: Row) => (sequenceNum === '' ? LARGEST : BigInt(sequenceNum))

/** As the index would give them: NULL comes last. */
function inOrder(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((a, b) => {
    const [hostA, hostB] = [a.hostId || 'z', b.hostId || 'z']
    if (hostA !== hostB) return hostA < hostB ? -1 : 1
    const difference = numberOf(a) - numberOf(b)
    return difference === 0n ? 0 : difference < 0n ? -1 : 1
  })
}

interface Verified {
  readonly verdict: AuditVerdict
  readonly kinds: readonly AuditFindingKind[]
}

async function verify(
  rows: readonly Row[],
  heads: readonly Head[] | undefined,
  isStandby = false,
): Promise<Verified> {
  const findings = new FindingList(1000)
  const walk = new LogWalk({ heads, prunings: NO_PRUNINGS, checkPruning: undefined, findings, isStandby })
  walk.add(inOrder(rows).map(row => COLUMNS.map(column => row[column]).join('\n')))
  await walk.finish()
  const { entries, recomputed, rowProtected, unprotected, unconfirmed } = walk.counts
  expect(recomputed + rowProtected + unprotected + unconfirmed).toBe(entries)
  expect(entries).toBe(rows.length)
  return { verdict: findings.verdict, kinds: findings.kept.map(({ kind }) => kind) }
}

type Mutation = (rows: readonly Row[]) => readonly Row[]

const place = fc.nat()
const at = (rows: readonly Row[], index: number) => index % Math.max(rows.length, 1)
const with_ = (rows: readonly Row[], index: number, changes: Partial<Row>) =>
  rows.map((row, position) => (position === at(rows, index) ? { ...row, ...changes } : row))

/** Values that a column may get: its own kind, or nothing. Types keep an owner from most others. */
const VALUES: Readonly<Record<Column, readonly string[]>> = {
  hostId: [...HOSTS, ''],
  sequenceNum: ['-1', '0', '1', '2', '3', '5', '9', '9007199254740993', ''],
  entryId: ['00000000-0000-4000-8000-000000000000', ''],
  createdAt: ['"2026-03-01T10:00:00.000001"', '"2026-03-01T10:00:00"', '"infinity"', ''],
  prevHash: [GENESIS_LINK, 'f'.repeat(64), '', 'f\nf'],
  eventHash: [GENESIS_LINK, 'e'.repeat(64), '', 'e\n'],
  rowHash: [`=${'d'.repeat(64)}`, '=', ''],
  version: ['0', '1', '2', ''],
  payload: ['{}', '{"number": 1}', '{"number": 2}', ''],
}

const setColumn: fc.Arbitrary<Mutation> = fc
  .tuple(place, fc.constantFrom(...COLUMNS), fc.nat())
  .map(([index, column, choice]) => rows => {
    const values = VALUES[column]
    return with_(rows, index, { [column]: values[choice % values.length] ?? '' })
  })

/** Columns of other rows are the likeliest to be taken for the right ones. */
const copyColumn: fc.Arbitrary<Mutation> = fc.tuple(place, place, fc.constantFrom(...COLUMNS)).map(
  ([index, from, column]) =>
    rows =>
      with_(rows, index, { [column]: rows[at(rows, from)]?.[column] ?? '' }),
)

const swapColumns: fc.Arbitrary<Mutation> = fc
  .tuple(place, place, fc.subarray([...COLUMNS], { minLength: 1 }))
  .map(([a, b, columns]) => rows => {
    const [first, second] = [rows[at(rows, a)], rows[at(rows, b)]]
    if (!first || !second) return rows
    const of = (row: Row) => Object.fromEntries(columns.map(column => [column, row[column]]))
    return with_(with_(rows, a, of(second)), b, of(first))
  })

const removeRows: fc.Arbitrary<Mutation> = fc.tuple(place, fc.integer({ min: 1, max: 3 })).map(
  ([index, count]) =>
    rows =>
      rows.toSpliced(at(rows, index), count),
)

const doubleRow: fc.Arbitrary<Mutation> = fc.tuple(place, place).map(
  ([index, to]) =>
    rows =>
      rows.toSpliced(at(rows, to), 0, ...rows.slice(at(rows, index), at(rows, index) + 1)),
)

const moveRows: fc.Arbitrary<Mutation> = fc
  .tuple(fc.constantFrom(...HOSTS), fc.integer({ min: -2, max: 10 }), fc.constantFrom(-2, -1, 1, 2))
  .map(
    ([hostId, from, by]) =>
      rows =>
        rows.map(row =>
          row.hostId === hostId && numberOf(row) >= from && row.sequenceNum !== ''
            ? { ...row, sequenceNum: String(BigInt(row.sequenceNum) + BigInt(by)) }
            : row,
        ),
  )

const cutTail: fc.Arbitrary<Mutation> = fc
  .tuple(fc.constantFrom(...HOSTS), fc.integer({ min: 0, max: 10 }))
  .map(
    ([hostId, last]) =>
      rows =>
        rows.filter(row => row.hostId !== hostId || numberOf(row) <= last),
  )

/** The protection taken from the first entries, which are then altered. */
const stripProtection: fc.Arbitrary<Mutation> = fc
  .tuple(fc.constantFrom(...HOSTS), fc.integer({ min: 1, max: 10 }))
  .map(
    ([hostId, last]) =>
      rows =>
        rows.map(row =>
          row.hostId === hostId && numberOf(row) <= last
            ? { ...row, version: '0', rowHash: '', payload: '{"number": 1000}' }
            : row,
        ),
  )

const mutations = fc.array(
  fc.oneof(setColumn, copyColumn, swapColumns, removeRows, doubleRow, moveRows, cutTail, stripProtection),
  { minLength: 1, maxLength: 4 },
)

const protectedKinds = fc.array(fc.constantFrom<EntryKind>('own', 'own', 'given'), {
  minLength: 1,
  maxLength: 8,
})
const protectedLog = fc.tuple(protectedKinds, protectedKinds, protectedKinds)
/** As in a database that was adopted. */
const adoptedLog = fc
  .tuple(fc.integer({ min: 1, max: 4 }), protectedKinds, protectedKinds, protectedKinds)
  .map(([count, first, ...others]): EntryKind[][] => [
    [...Array.from({ length: count }, (): EntryKind => 'unprotected'), ...first],
    ...others,
  ])

const chainsOf = (kinds: readonly (readonly EntryKind[])[]) =>
  kinds.map((each, index) => chainOf(HOSTS[index] ?? '', each))

const asText = (row: Row) => JSON.stringify(COLUMNS.map(column => row[column]))
const asSet = (rows: readonly Row[]) => rows.map(asText).sort().join('\n')

function isPrefix(rows: readonly Row[], chain: readonly Row[]): boolean {
  const { hostId = '' } = chain[0] ?? {}
  const left = inOrder(rows.filter(row => row.hostId === hostId))
  return left.every((row, index) => asText(row) === asText(chain[index] ?? row) && index < chain.length)
}

const RUNS = { numRuns: 4000 }

describe('random damage (F32, F33)', () => {
  it('is never called intact beside a checkpoint, and what is the same is', async () => {
    await fc.assert(
      fc.asyncProperty(protectedLog, mutations, async (kinds, steps) => {
        const chains = chainsOf(kinds)
        const original = chains.flat()
        const damaged = steps.reduce((rows, step) => step(rows), original as readonly Row[])
        const { verdict, kinds: found } = await verify(damaged, chains.flatMap(headOf))
        const isSame = asSet(damaged) === asSet(original)
        expect(verdict === 'intact', found.join()).toBe(isSame)
      }),
      RUNS,
    )
  })

  it('is called intact without a checkpoint only where tails were cut', async () => {
    await fc.assert(
      fc.asyncProperty(protectedLog, mutations, async (kinds, steps) => {
        const chains = chainsOf(kinds)
        const damaged = steps.reduce((rows, step) => step(rows), chains.flat() as readonly Row[])
        const { verdict, kinds: found } = await verify(damaged, undefined)
        const isCut =
          chains.every(chain => isPrefix(damaged, chain)) && damaged.every(row => HOSTS.includes(row.hostId))
        expect(verdict === 'intact', found.join()).toBe(isCut)
      }),
      RUNS,
    )
  })

  it('is not hidden by entries of version 0: no change of what was protected goes without a finding of damage', async () => {
    await fc.assert(
      fc.asyncProperty(adoptedLog, mutations, async (kinds, steps) => {
        const chains = chainsOf(kinds)
        const original = chains.flat()
        const damaged = steps.reduce((rows, step) => step(rows), original as readonly Row[])
        const { verdict, kinds: found } = await verify(damaged, chains.flatMap(headOf))
        expect(verdict).not.toBe('intact')
        if (asSet(damaged) === asSet(original)) expect(found).toEqual(['unprotected'])
        if (verdict === 'damaged' || found.includes('unknown-version')) return
        const left = new Set(damaged.map(asText))
        for (const row of original.filter(({ version }) => version !== '0'))
          expect(left).toContain(asText(row))
      }),
      RUNS,
    )
  })
})

describe('a standby that has not received everything yet', () => {
  it('raises no false alarm over what is missing at the ends, and an alarm over all else', async () => {
    const chains = chainsOf([['own', 'own', 'own'], ['given', 'given'], ['own']])
    const heads = chains.flatMap(headOf)
    const [first = [], second = []] = chains
    const late = [...first.slice(0, 2), ...second]
    expect(await verify(late, heads, true)).toEqual({
      verdict: 'cannot-tell',
      kinds: ['standby-behind', 'standby-behind'],
    })
    expect(await verify(late, heads)).toEqual({ verdict: 'damaged', kinds: ['tail-missing', 'host-missing'] })
    const altered = [...first.slice(0, 1), ...second.map(row => ({ ...row, payload: '{}' }))]
    expect(await verify(altered, heads, true)).toMatchObject({ verdict: 'damaged' })
  })
})
