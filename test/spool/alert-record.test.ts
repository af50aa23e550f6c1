import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../../src/model/alert.ts'
import { RawJson } from '../../src/model/raw-json.ts'
import { decodeAlert, encodeAlert, isIntact } from '../../src/spool/alert-record.ts'
import type { SpooledAlert } from '../../src/spool/spooled-alert.ts'
import { alertNumber, errorOf } from './support.ts'

const moments = fc
  .tuple(
    fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    }),
    fc.integer({ min: 0, max: 999 }),
  )
  .map(
    ([date, microseconds]) => `${date.toISOString().slice(0, -1)}${String(microseconds).padStart(3, '0')}Z`,
  )

const details = fc.oneof(
  fc.constant(null),
  fc.json().map(text => RawJson.fromText(JSON.stringify(JSON.parse(text)))),
  fc
    .constantFrom('null', '{"pid": 9007199254740993, "load": 0.10}', ' [1e400, -0] ', '"𝄞"')
    .map(RawJson.fromText),
)

const alerts: fc.Arbitrary<SpooledAlert> = fc.record({
  alertId: fc.uuid(),
  hostId: fc.uuid(),
  timestamp: moments,
  tripwireType: fc.constantFrom(...TRIPWIRE_TYPES),
  ruleName: fc.string({ unit: 'binary', minLength: 1, maxLength: 1000 }),
  eventDetail: details,
  severity: fc.constantFrom(...SEVERITY_LEVELS),
  receivedAt: moments,
})
const sequences = fc.maxSafeNat()

describe('the bytes of a spooled alert', () => {
  it('give back the very same alert', () => {
    fc.assert(
      fc.property(sequences, alerts, (sequence, alert) => {
        expect(decodeAlert(sequence, encodeAlert(sequence, alert))).toEqual(alert)
      }),
      { numRuns: 1000 },
    )
  })

  it('F07: are refused when any byte has changed, or the length, or the sequence number', () => {
    fc.assert(
      fc.property(
        sequences,
        alerts,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (sequence, alert, at, change) => {
          const record = encodeAlert(sequence, alert)
          expect(decodeAlert(sequence + 1, record)).toBeUndefined()
          expect(isIntact(sequence, record.subarray(0, at % record.length))).toBe(false)
          const offset = at % record.length
          record.writeUInt8(record.readUInt8(offset) ^ change, offset)
          expect(decodeAlert(sequence, record)).toBeUndefined()
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('are not made of ids and moments whose form would be lost', () => {
    const alert = alertNumber(1)
    const refused = [
      { ...alert, alertId: alert.alertId.toUpperCase().replace(/^./, 'A') },
      { ...alert, hostId: 'no-uuid' },
      { ...alert, timestamp: '2026-02-03T04:05:06Z' },
      { ...alert, receivedAt: '2026-13-03T04:05:06.000000Z' },
    ]
    for (const wrong of refused) expect(errorOf(() => encodeAlert(1, wrong)).code).toBe('INVALID_INPUT')
  })
})
