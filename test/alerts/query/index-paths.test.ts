/** Whatever is asked for, an index leads to the newest page: also to one that is empty, in a table of hundreds of thousands. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlertQuery } from '../../../src/index.ts'
import { openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage, PLAN_MODES, type PlanMode } from './explain-page.ts'
import { fillMonths, hostOf, MONTHS, partitionOf, RULES } from './many-alerts.ts'

const database = useTestDatabase()
const PER_MONTH = 80_000
const LIMIT = 20
let client: pg.Client
let decidesListsInIndex: boolean

beforeAll(async () => {
  await fillMonths(database, PER_MONTH)
  await using store = await openStore(database)
  expect((await store.indexAlertDetails()).indexed).toEqual(expect.arrayContaining(MONTHS.map(partitionOf)))
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  const { rows } = await client.query<{ pages: string }>(
    `SELECT sum(pg_relation_size(inhrelid)) / 8192 AS pages FROM pg_inherits WHERE inhparent = 'alerts'::regclass`,
  )
  const version = await client.query<{ number: number }>(
    `SELECT current_setting('server_version_num')::int AS number`,
  )
  decidesListsInIndex = (version.rows[0]?.number ?? 0) >= 170_000
  // What is found in a few hundred pages was not found by reading all.
  expect(Number(rows[0]?.pages)).toBeGreaterThan(4000)
}, 180_000)
afterAll(() => client.end())

const hostsFrom = (first: number) => Array.from({ length: 40 }, (_, index) => hostOf(first + index))

type Choice = readonly [name: string, filter: AlertQuery]

const HOST_CHOICES: readonly Choice[] = [
  ['all hosts', {}],
  ['a host', { hostId: hostOf(7) }],
  ['a host with INFO only', { hostId: hostOf(0) }],
  ['a host without a rule', { hostId: hostOf(1) }],
  ['three hosts', { hostId: [hostOf(7), hostOf(8), hostOf(9)] }],
  ['forty hosts', { hostId: hostsFrom(10) }],
  ['a silent host', { hostId: hostOf(999) }],
  ['silent hosts', { hostId: [hostOf(998), hostOf(999)] }],
  ['forty silent hosts', { hostId: hostsFrom(950) }],
]
const SEVERITY_CHOICES: readonly Choice[] = [
  ['any severity', {}],
  ['INFO', { severity: 'INFO' }],
  ['WARN', { severity: 'WARN' }],
  ['CRITICAL', { severity: 'CRITICAL' }],
  ['WARN and CRITICAL', { severity: ['WARN', 'CRITICAL'] }],
  ['INFO and CRITICAL', { severity: ['INFO', 'CRITICAL'] }],
]
const TYPE_CHOICES: readonly Choice[] = [
  ['any type', {}],
  ['FILE', { tripwireType: 'FILE' }],
  ['FILE and PROCESS', { tripwireType: ['FILE', 'PROCESS'] }],
  ['NETWORK, which nobody has', { tripwireType: 'NETWORK' }],
]
const RULE_CHOICES: readonly Choice[] = [
  ['any rule', {}],
  ['a rule', { ruleName: 'rule-0' }],
  ['a rule that nobody has', { ruleName: 'no such rule' }],
  ['two rules', { ruleName: ['rule-1', 'no such rule'] }],
]
const DETAIL_CHOICES: readonly Choice[] = [
  ['a detail of one alert in 256', { detail: { path: '/etc/file-3' } }],
  ['a detail that nobody has', { detail: { path: '/etc/no such file' } }],
]
const SENSED_CHOICES: readonly Choice[] = [
  ['an hour', { timestampFrom: '2025-11-11T10:00:00Z', timestampTo: '2025-11-11T11:00:00Z' }],
  ['a day', { timestampFrom: '2025-11-11T00:00:00Z', timestampTo: '2025-11-12T00:00:00Z' }],
  [
    'a time in which nothing was sensed',
    { timestampFrom: '2025-11-30T00:00:00Z', timestampTo: '2025-12-01T00:00:00Z' },
  ],
  ['a time to come', { timestampFrom: '2030-01-01T00:00:00Z' }],
]

function combine(...lists: readonly (readonly Choice[])[]): readonly Choice[] {
  return lists.reduce((all, list) =>
    all.flatMap(([name, filter]) =>
      list.map(([added, more]): Choice => [`${name}, ${added}`, { ...filter, ...more }]),
    ),
  )
}

/**
 * A page of 20 in any order of rows on the disk, with the way down into four months. Each host of a list, with each severity, is a way
 * of its own, which is gone once or twice. Of a few rules, the planner may read what they have of a rare severity; beside several hosts,
 * PostgreSQL 15 and 16 may read all they have.
 */
function mostBuffers({ hostId, severity, ruleName }: AlertQuery): number {
  const ways = [hostId, severity].reduce((product, list) => product * [list].flat().length, 1)
  const isOfHosts = Array.isArray(hostId) && ruleName !== undefined && !decidesListsInIndex
  const rowsOfRule = isOfHosts ? (MONTHS.length * PER_MONTH) / RULES : 0
  return (Array.isArray(ruleName) ? 1000 : 500) + (ways - 1) * 16 + rowsOfRule
}

/** The months of now have no rows. */
function isScanOfRows(scan: string): boolean {
  return MONTHS.some(month => scan === `Seq Scan ${partitionOf(month)}`)
}

async function findDear(choices: readonly Choice[], mode: PlanMode, most: (query: AlertQuery) => number) {
  const found = []
  for (const [name, filter] of choices) {
    const { buffers, scans } = await explainPage(client, { ...filter, limit: LIMIT }, mode)
    if (buffers > most(filter) || scans.some(isScanOfRows)) found.push({ name, buffers, scans })
  }
  return found
}

const COMBINATIONS = combine(HOST_CHOICES, SEVERITY_CHOICES, TYPE_CHOICES, RULE_CHOICES)

describe.each(PLAN_MODES)('with %s', mode => {
  // Of a value that it does not know, the server cannot tell that it is rare.
  const most = (query: AlertQuery) => mostBuffers(query) * (mode === 'force_generic_plan' ? 2 : 1)

  it(`the newest page of each of ${COMBINATIONS.length} filters comes through an index`, async () => {
    expect(await findDear(COMBINATIONS, mode, most)).toEqual([])
  }, 300_000)

  it('oldest first costs as little', async () => {
    const some = COMBINATIONS.filter((_, index) => index % 7 === 0)
    const oldest = some.map(([name, filter]): Choice => [name, { ...filter, order: 'oldest' }])
    expect(await findDear(oldest, mode, most)).toEqual([])
  }, 300_000)
})

describe('with the plan of the values', () => {
  it('what has a rare detail comes through the index of details', async () => {
    const choices = combine(DETAIL_CHOICES, HOST_CHOICES, SEVERITY_CHOICES, RULE_CHOICES)
    // All that has it may be looked at.
    const most = (query: AlertQuery) => mostBuffers(query) + (MONTHS.length * PER_MONTH) / 256
    expect(await findDear(choices, 'force_custom_plan', most)).toEqual([])
  }, 300_000)

  it('what was sensed in a short time comes through an index', async () => {
    const choices = combine(SENSED_CHOICES, HOST_CHOICES, SEVERITY_CHOICES.slice(1, 4), RULE_CHOICES)
    // A third of what was received in a day may be looked at.
    const most = (query: AlertQuery) => mostBuffers(query) + PER_MONTH / 28 / 3
    expect(await findDear(choices, 'force_custom_plan', most)).toEqual([])
  }, 300_000)
})
