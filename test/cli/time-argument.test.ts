import { describe, expect, it } from 'vitest'
import { parseTimeArgument } from '../../src/cli/time-argument.ts'

const now = new Date('2026-03-01T12:00:00.500Z')

describe('a moment on the command line', () => {
  it.each([
    ['now', '2026-03-01T12:00:00.500000Z'],
    ['-90s', '2026-03-01T11:58:30.500000Z'],
    ['-15m', '2026-03-01T11:45:00.500000Z'],
    ['-24h', '2026-02-28T12:00:00.500000Z'],
    ['-7d', '2026-02-22T12:00:00.500000Z'],
    ['-2w', '2026-02-15T12:00:00.500000Z'],
    ['2026-02-01', '2026-02-01T00:00:00.000000Z'],
    ['2026-02-01T03:04:05.678901+02:00', '2026-02-01T01:04:05.678901Z'],
  ])('%s', (text, expected) => {
    expect(parseTimeArgument('--from', text, now)).toBe(expected)
  })

  it.each(['', 'yesterday', '24h', '-24x', '-h', '2026-02-30', '2026-02-01T00:00:00'])('%j is none', text => {
    expect(() => parseTimeArgument('--from', text, now)).toThrow(/--from: expected a moment/)
  })
})
