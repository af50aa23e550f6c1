import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { derivedAlertId } from '../../src/sensors/derived-alert-id.ts'

describe('a derived alert id', () => {
  it('is a UUID of version 8 and the variant of RFC 9562', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), (scheme, parts) => {
        expect(derivedAlertId(scheme, parts)).toMatch(
          /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        )
      }),
    )
  })

  it('stays the same over releases', () => {
    const hash = createHash('sha256').update('["tripwire-storage","scheme","a","b"]').digest('hex')
    const id = derivedAlertId('scheme', ['a', 'b']).replaceAll('-', '')
    expect(id.slice(0, 12)).toBe(hash.slice(0, 12))
    expect(id.slice(13, 16)).toBe(hash.slice(13, 16))
    expect(id.slice(17)).toBe(hash.slice(17, 32))
  })

  it('depends on the borders between the parts and on the scheme', () => {
    const ids = [
      derivedAlertId('s', ['a', 'bc']),
      derivedAlertId('s', ['ab', 'c']),
      derivedAlertId('s', ['abc']),
      derivedAlertId('s', ['a","bc']),
      derivedAlertId('t', ['abc']),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })
})
