import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AlertPartition } from '../../src/index.ts'
import { horizonDays, horizonOf } from '../../src/partitions/horizon.ts'
import { planRetention } from '../../src/partitions/retention/plan-retention.ts'
import type { RetentionPolicy } from '../../src/partitions/retention/retention-policy.ts'

const NOW = '2026-03-31T23:59:59.999999Z'

function firstOf(index: number): string {
  return new Date(Date.UTC(2020, index)).toISOString().replace('.000Z', '.000000Z')
}

/** Months are counted from January 2020; March 2026 is number 74. */
const PRESENT = 74

function month(index: number, members: Partial<AlertPartition> = {}): AlertPartition {
  return {
    partition: `month-${index}`,
    state: 'attached',
    isDefault: false,
    isTable: true,
    from: firstOf(index),
    to: firstOf(index + 1),
    isMonth: true,
    isComplete: true,
    indexes: 5,
    rows: 1,
    bytes: 100,
    restoredAt: null,
    ...members,
  }
}

function policy(members: Partial<RetentionPolicy>): RetentionPolicy {
  return {
    keepMonths: undefined,
    keepBytes: undefined,
    archiveDir: undefined,
    includeRestored: false,
    ...members,
  }
}

const planned = (partitions: readonly AlertPartition[], members: Partial<RetentionPolicy>) =>
  planRetention(partitions, policy(members), NOW).map(({ partition }) => partition)

describe('the plan of a retention', () => {
  it('keeps the present month and as many before it as it is told to', () => {
    const all = [PRESENT - 3, PRESENT - 2, PRESENT - 1, PRESENT, PRESENT + 1].map(index => month(index))
    expect(planned(all, { keepMonths: 0 })).toEqual(['month-71', 'month-72', 'month-73'])
    expect(planned(all, { keepMonths: 2 })).toEqual(['month-71'])
    expect(planned(all, { keepMonths: 3 })).toEqual([])
    expect(planned(all, { keepMonths: 1200 })).toEqual([])
  })

  it('goes on with a detached month whatever the policy is, and leaves restored ones alone', () => {
    const restoredAt = NOW
    const all = [
      month(70, { state: 'detached', restoredAt }),
      month(71, { restoredAt }),
      month(72, { state: 'detaching' }),
      month(73, { isMonth: false }),
    ]
    expect(planned(all, { keepMonths: 100 })).toEqual(['month-70'])
    expect(planned(all, { keepMonths: 0 })).toEqual(['month-70'])
    expect(planned(all, { keepMonths: 0, includeRestored: true })).toEqual(['month-70', 'month-71'])
  })

  it('leaves a month alone for a week after its end: an alert of it may be sent again', () => {
    const at = (now: string) =>
      planRetention([month(PRESENT - 1)], policy({ keepMonths: 0, keepBytes: 0 }), now).length
    expect(at('2026-03-01T00:10:00.000000Z')).toBe(0)
    expect(at('2026-03-07T23:59:59.999999Z')).toBe(0)
    expect(at('2026-03-08T00:00:00.000000Z')).toBe(1)
  })

  it('passes over partitions that are no ordinary tables', () => {
    expect(planned([month(70, { isTable: false }), month(71)], { keepMonths: 0 })).toEqual(['month-71'])
  })

  const anyMonth = fc.record({
    index: fc.integer({ min: 0, max: PRESENT + 12 }),
    bytes: fc.integer({ min: 0, max: 1000 }),
  })
  const months = fc
    .uniqueArray(anyMonth, { selector: ({ index }) => index, maxLength: 60 })
    .map(all => all.toSorted((a, b) => a.index - b.index).map(({ index, bytes }) => month(index, { bytes })))

  it('never takes a month that is not over, nor one that holds alerts of the last keepMonths months', () => {
    fc.assert(
      fc.property(months, fc.integer({ min: 0, max: 100 }), (all, keepMonths) => {
        const taken = planRetention(all, policy({ keepMonths }), NOW)
        expect(taken.filter(({ to }) => to > firstOf(PRESENT - keepMonths))).toEqual([])
        const kept = all.filter(({ partition }) => !taken.some(each => each.partition === partition))
        expect(kept.filter(({ to }) => to !== null && to <= firstOf(PRESENT - keepMonths))).toEqual([])
      }),
    )
  })

  it('takes the oldest months that do not fit into keepBytes, and no more than that', () => {
    fc.assert(
      fc.property(months, fc.integer({ min: 0, max: 20_000 }), (all, keepBytes) => {
        const taken = planRetention(all, policy({ keepBytes }), NOW)
        const ended = all.filter(({ to }) => to !== null && to <= firstOf(PRESENT))
        expect(taken).toEqual(ended.slice(0, taken.length))
        const sum = (some: readonly AlertPartition[]) => some.reduce((bytes, each) => bytes + each.bytes, 0)
        if (taken.length < ended.length) expect(sum(all.slice(taken.length))).toBeLessThanOrEqual(keepBytes)
        if (taken.length > 0) expect(sum(all.slice(taken.length - 1))).toBeGreaterThan(keepBytes)
      }),
    )
  })
})

describe('the horizon', () => {
  it('is the end of the last month without a hole from now on', () => {
    const has = (...indexes: readonly number[]) =>
      horizonOf(
        indexes.map(index => month(index)),
        NOW,
      )
    expect(has(PRESENT, PRESENT + 1, PRESENT + 3)).toBe(firstOf(PRESENT + 2))
    expect(has(PRESENT - 1, PRESENT + 1)).toBeNull()
    expect(has()).toBeNull()
    expect(horizonOf([month(PRESENT, { state: 'detaching' })], NOW)).toBeNull()
    expect(horizonOf([month(0, { from: null, to: firstOf(PRESENT + 5) })], NOW)).toBe(firstOf(PRESENT + 5))
  })

  it('is infinity where the last partition has no upper bound, and the DEFAULT partition does not count', () => {
    const rest = month(0, { isDefault: true, from: null, to: null })
    expect(horizonOf([month(PRESENT), month(PRESENT + 1, { to: null }), rest], NOW)).toBe('infinity')
    expect(horizonDays('infinity', Date.now())).toBe(Number.POSITIVE_INFINITY)
    expect(horizonOf([rest], NOW)).toBeNull()
    expect(horizonOf([month(PRESENT), rest], NOW)).toBe(firstOf(PRESENT + 1))
  })

  it('is right where a slip of the finger made a year of five digits', () => {
    const far = month(0, { from: '20206-01-01T00:00:00.000000Z', to: '20206-02-01T00:00:00.000000Z' })
    expect(horizonOf([far, month(PRESENT)], NOW)).toBe(firstOf(PRESENT + 1))
  })

  it('is counted in days from now, and never less than none', () => {
    expect(horizonDays('2026-04-01T00:00:00.000000Z', Date.parse('2026-03-31T12:00:00Z'))).toBe(0.5)
    expect(horizonDays(null, Date.now())).toBe(0)
    expect(horizonDays('2020-01-01T00:00:00.000000Z', Date.now())).toBe(0)
  })
})
