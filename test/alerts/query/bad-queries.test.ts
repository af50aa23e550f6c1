import { describe, expect, it } from 'vitest'
import { cursorAfter } from '../../../src/alerts/query/alert-cursor.ts'
import { filterConditions, parseAlertFilter } from '../../../src/alerts/query/alert-filter.ts'
import { parseAlertSpan } from '../../../src/alerts/query/alert-span.ts'
import { planAlertQuery } from '../../../src/alerts/query/query-alerts.ts'
import { InvalidInputError, RawJson } from '../../../src/index.ts'
import type { SqlValue } from '../../../src/pg/database.ts'

const ID = '00000000-0000-4000-8000-000000000001'
const OTHER_ID = '00000000-0000-4000-8000-000000000002'
const CYCLE: Record<string, unknown> = {}
CYCLE['self'] = CYCLE

/** What is refused, and the field that the error names. */
const CASES: readonly (readonly [field: string, query: object])[] = [
  ['hostId', { hostId: '' }],
  ['hostId', { hostId: 7 }],
  ['hostId', { hostId: [] }],
  ['hostId', { hostId: Array.from({ length: 1001 }, () => ID) }],
  ['hostId[1]', { hostId: [ID, 'x'] }],
  ['hostId[0]', { hostId: [null] }],
  ['severity', { severity: 'critical' }],
  ['severity', { severity: [] }],
  ['severity[1]', { severity: ['INFO', 'FATAL'] }],
  ['tripwireType', { tripwireType: 'DISK' }],
  ['tripwireType[0]', { tripwireType: ['file'] }],
  ['ruleName', { ruleName: '' }],
  ['ruleName', { ruleName: 'a\0b' }],
  ['ruleName', { ruleName: 'x'.repeat(1001) }],
  ['ruleName[0]', { ruleName: ['\ud800'] }],
  ['detail', { detail: CYCLE }],
  ['detail', { detail: 1n }],
  ['detail', { detail: { path: 'a\0b' } }],
  ['detail', { detail: RawJson.fromText('{"a\\\\\\u0000": 1}') }],
  ['detail', { detail: 'x'.repeat(65_536) }],
  ['from', { from: 'yesterday' }],
  ['to', { from: '2026-03-01T00:00:00Z', to: '2026-02-28T23:59:59.999999Z' }],
  ['timestampFrom', { timestampFrom: new Date(Number.NaN) }],
  ['timestampTo', { timestampFrom: '2026-03-01T00:00:00Z', timestampTo: '2026-02-01T00:00:00Z' }],
  ['order', { order: 'NEWEST' }],
  ['limit', { limit: 0 }],
  ['limit', { limit: 10_001 }],
  ['offset', { offset: -1 }],
  ['cursor', { cursor: '' }],
  ['cursor', { cursor: 7 }],
  ['cursor', { cursor: 'bm90IGEgY3Vyc29y' }],
]

/** What anybody can make who knows the form of a cursor. */
const forge = (receivedAt: string, alertId = ID) =>
  cursorAfter(parseAlertSpan({}), { receivedAt, alertId, hostId: ID })

describe('a cursor that somebody made', () => {
  it.each([
    ['no moment', forge('yesterday')],
    ['a moment without its zone', forge('2026-03-01T10:00:00.000000')],
    ['a month that there is not', forge('2026-13-01T10:00:00.000000Z')],
    ['a day that there is not', forge('2026-02-30T10:00:00.000000Z')],
    ['an hour that there is not', forge('2026-03-01T24:00:00.000000Z')],
    ['a year that the server does not know', forge('299999-03-01T10:00:00.000000Z')],
    ['an id that is none', forge('2026-03-01T10:00:00.000000Z', `${ID}' OR true`)],
  ])('with %s is refused', (_, cursor) => {
    expect(() => planAlertQuery({ cursor })).toThrowError(
      expect.objectContaining({ name: 'InvalidInputError', field: 'query.cursor' }),
    )
  })

  it.each([
    '2026-03-01T10:00:00.000001Z',
    '9999-12-31T23:59:59.999999Z',
    '12026-03-01T10:00:00.000000Z',
    '0044-03-15T12:00:00 BC',
    'infinity',
    '-infinity',
  ])('with %s is taken, for a table may hold it', moment => {
    expect(planAlertQuery({ cursor: forge(moment) }).values).toContain(moment.replace(' BC', 'Z BC'))
  })
})

describe('a query is refused before anything reaches the database', () => {
  it.each(CASES)('%s: %o', (field, query) => {
    expect(() => planAlertQuery(query)).toThrowError(
      expect.objectContaining({ name: 'InvalidInputError', code: 'INVALID_INPUT', field: `query.${field}` }),
    )
  })

  it('when it has a member that is none', () => {
    expect(() => planAlertQuery({ hostIds: [ID] })).toThrowError(
      expect.objectContaining({ code: 'UNKNOWN_OPTION', hint: 'did you mean hostId?' }),
    )
    expect(() => parseAlertFilter('filter', { from: new Date() })).toThrowError(
      expect.objectContaining({ code: 'UNKNOWN_OPTION', field: 'filter.from' }),
    )
    expect(() => parseAlertFilter('filter', [])).toThrowError(InvalidInputError)
  })
})

describe('a filter', () => {
  it('takes an escaped backslash before u0000 for what it is', () => {
    const detail = RawJson.fromText('{"a": "\\\\u0000"}')
    expect(parseAlertFilter('filter', { detail }).detail).toBe(detail.text)
  })

  it('is the same however its lists are written', () => {
    const one = parseAlertFilter('filter', {
      hostId: [OTHER_ID, ID, ID.toUpperCase()],
      severity: ['CRITICAL', 'WARN'],
    })
    expect(one.hostIds).toEqual([ID, OTHER_ID])
    expect(one.severities).toEqual(['WARN', 'CRITICAL'])
    const everything = { severity: ['INFO', 'CRITICAL', 'WARN'], tripwireType: null, ruleName: undefined }
    expect(parseAlertFilter('filter', everything)).toEqual(parseAlertFilter('filter', {}))
  })

  it.each<readonly [object, readonly string[], readonly SqlValue[]]>([
    [{}, [], []],
    [{ hostId: ID }, ['host_id = $1'], [ID]],
    [{ hostId: [ID, OTHER_ID] }, ['host_id = ANY ($1::uuid[])'], [[ID, OTHER_ID]]],
    [{ severity: 'WARN' }, [`severity = 'WARN'`], []],
    [{ severity: ['WARN', 'CRITICAL'] }, [`severity >= 'WARN'`], []],
    [{ severity: ['INFO', 'WARN'] }, [`severity <= 'WARN'`], []],
    [{ severity: ['INFO', 'CRITICAL'] }, [`severity IN ('INFO', 'CRITICAL')`], []],
    [{ tripwireType: ['PROCESS', 'NETWORK'] }, [`tripwire_type >= 'NETWORK'`], []],
    [{ ruleName: "it's" }, ['rule_name = $1'], ["it's"]],
    [{ detail: { a: 1 } }, ['event_detail @> $1::jsonb'], ['{"a":1}']],
  ])('%o becomes conditions, with what callers give as parameters', (given, conditions, expected) => {
    const values: SqlValue[] = []
    expect(filterConditions(parseAlertFilter('filter', given), values)).toEqual(conditions)
    expect(values).toEqual(expected)
  })
})
