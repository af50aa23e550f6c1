import { describe, expect, it } from 'vitest'
import { nearestName } from '../../src/model/nearest-name.ts'

const NAMES = ['INFO', 'WARN', 'CRITICAL']

describe('nearestName', () => {
  it.each([
    ['CRITCAL', 'CRITICAL'],
    ['critical', 'CRITICAL'],
    ['WARNING', 'WARN'],
    ['IFNO', 'INFO'],
    ['warm', 'WARN'],
  ])('finds what %s was meant to be', (given, expected) => {
    expect(nearestName(given, NAMES)).toBe(expected)
  })

  it.each(['', 'x', 'FATAL', 'something else entirely'])('says nothing for %j', given => {
    expect(nearestName(given, NAMES)).toBeUndefined()
  })
})
