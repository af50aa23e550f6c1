/** Whatever is asked for, an index leads to the newest page: also to one that is empty, in a table of hundreds of thousands. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlertQuery } from '../../../src/index.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { explainPage, PLAN_MODES } from './explain-page.ts'
import { fillMonths, hostOf, MONTHS } from './many-alerts.ts'

const database = useTestDatabase()
const PER_MONTH = 80_000
const LIMIT = 20
let client: pg.Client
let tablePages: number

beforeAll(async () => {
  await fillMonths(database, PER_MONTH)
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  const { rows } = await client.query<{ pages: string }>(
    `SELECT sum(pg_relation_size(inhrelid)) / 8192 AS pages FROM pg_inherits WHERE inhparent = 'alerts'::regclass`,
  )
  tablePages = Number(rows[0]?.pages)
  expect(tablePages).toBeGreaterThan(4000)
}, 180_000)
afterAll(() => client.end())

type Choice = readonly [name: string, filter: AlertQuery]

const HOST_CHOICES: readonly Choice[] = [
  ['all hosts', {}],
  ['a host', { hostId: hostOf(7) }],
  ['a host with INFO only', { hostId: hostOf(0) }],
  ['a host without a rule', { hostId: hostOf(1) }],
  ['three hosts', { hostId: [hostOf(7), hostOf(8), hostOf(9)] }],
  ['a silent host', { hostId: hostOf(999) }],
  ['silent hosts', { hostId: [hostOf(998), hostOf(999)] }],
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

/** A type that is nowhere, with nothing beside that is rare: the index of time is read to its end. The design page says so. */
function isRareTypeAlone(query: AlertQuery): boolean {
  const { hostId, severity, tripwireType, ruleName } = query
  const isBroad = severity === undefined || severity === 'INFO' || String(severity) === 'INFO,CRITICAL'
  return tripwireType === 'NETWORK' && hostId === undefined && ruleName === undefined && isBroad
}

/**
 * A page of 20 in any order of rows on the disk, with the way down into four months; the most is what a rule has of a severity that is
 * rare. Each combination of several values is a part of its own.
 */
function mostBuffers({ hostId, severity, ruleName }: AlertQuery): number {
  const parts = [hostId, severity, ruleName].reduce((product, list) => product * [list].flat().length, 1)
  return 400 + (parts - 1) * 100
}

/** The months of now have no rows. */
function isScanOfRows(scan: string): boolean {
  return MONTHS.some(month => scan === `Seq Scan alerts_y${month.slice(0, 7).replace('-', 'm')}`)
}

const combinations = HOST_CHOICES.flatMap(([host, byHost]) =>
  SEVERITY_CHOICES.flatMap(([severity, bySeverity]) =>
    TYPE_CHOICES.flatMap(([type, byType]) =>
      RULE_CHOICES.map(
        ([rule, byRule]): Choice => [
          [host, severity, type, rule].join(', '),
          { ...byHost, ...bySeverity, ...byType, ...byRule },
        ],
      ),
    ),
  ),
)

describe.each(PLAN_MODES)('with %s', mode => {
  it(`the newest page of each of ${combinations.length} filters comes through an index`, async () => {
    const found = []
    for (const [name, filter] of combinations) {
      if (isRareTypeAlone(filter)) continue
      const { buffers, scans } = await explainPage(client, { ...filter, limit: LIMIT }, mode)
      if (buffers > mostBuffers(filter) || scans.some(isScanOfRows)) found.push({ name, buffers, scans })
    }
    expect(found).toEqual([])
  }, 300_000)

  it('a type that is nowhere costs no more than reading the months once', async () => {
    for (const [name, filter] of combinations.filter(([, each]) => isRareTypeAlone(each))) {
      const { buffers, rows } = await explainPage(client, { ...filter, limit: LIMIT }, mode)
      expect({ name, rows, isWithin: buffers <= tablePages * 1.1 }).toEqual({ name, rows: 0, isWithin: true })
    }
  }, 60_000)

  it('oldest first costs as little', async () => {
    const found = []
    for (const [name, filter] of combinations.filter((_, index) => index % 7 === 0)) {
      if (isRareTypeAlone(filter)) continue
      const { buffers } = await explainPage(client, { ...filter, limit: LIMIT, order: 'oldest' }, mode)
      if (buffers > mostBuffers(filter)) found.push({ name, buffers })
    }
    expect(found).toEqual([])
  }, 300_000)
})
