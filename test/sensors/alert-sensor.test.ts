import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/errors.ts'
import { RawJson } from '../../src/model/raw-json.ts'
import { alertSensor } from '../../src/sensors/alert-sensor.ts'

const plain = {
  hostname: 'web-1',
  timestamp: '2026-03-01T10:00:00.123456Z',
  tripwireType: 'FILE',
  ruleName: 'etc',
  severity: 'WARN',
}

function read(line: string) {
  const result = alertSensor.readLine(line)
  if (result.kind !== 'alert') throw new Error(`skipped: ${result.reason}`)
  return result
}

function errorOf(members: object): InvalidInputError {
  try {
    alertSensor.readLine(JSON.stringify(members))
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
  throw new Error('the line was accepted')
}

describe('a line in the alert format', () => {
  it('gives its fields as they are, the times in microseconds', () => {
    const alertId = '018f3c00-0000-7000-8000-00000000000a'
    const line = JSON.stringify({ ...plain, alertId, receivedAt: '2026-03-01T12:00:01+02:00' })
    expect(read(line)).toEqual({
      kind: 'alert',
      identity: 'own',
      host: { hostname: 'web-1' },
      alert: {
        alertId,
        timestamp: '2026-03-01T10:00:00.123456Z',
        tripwireType: 'FILE',
        ruleName: 'etc',
        severity: 'WARN',
        receivedAt: '2026-03-01T10:00:01.000000Z',
      },
    })
  })

  it('names its host by id or by name, and by one of them only', () => {
    const { hostname, ...unnamed } = plain
    const hostId = '018f3c00-0000-7000-8000-00000000000B'
    expect(read(JSON.stringify({ ...unnamed, hostId })).host).toEqual({ hostId: hostId.toLowerCase() })
    expect(errorOf(unnamed).message).toBe('hostId: expected a hostId or a hostname, got undefined')
    expect(errorOf({ ...plain, hostId }).field).toBe('hostname')
    expect(hostname).toBe('web-1')
  })

  it('keeps every digit of the event detail', () => {
    const detail = '{"keywords": -9223372036854775808, "ratio": 0.10000000000000000001, "escaped": "\\u0041"}'
    const line = `{"eventDetail": 1, ${JSON.stringify(plain).slice(1, -1)}, "event\\u0044etail" : ${detail} }`
    expect(String(read(line).alert.eventDetail)).toBe(detail)
  })

  it('tells an absent event detail from JSON null', () => {
    expect(read(JSON.stringify(plain)).alert).not.toHaveProperty('eventDetail')
    const withNull = read(JSON.stringify({ ...plain, eventDetail: null })).alert.eventDetail
    expect(withNull).toBeInstanceOf(RawJson)
    expect(String(withNull)).toBe('null')
  })

  it('gets the same id each time it is read, and another line another one', () => {
    const line = JSON.stringify(plain)
    expect(read(line).alert.alertId).toBe(read(` ${line}\t`).alert.alertId)
    expect(read(line).alert.alertId).not.toBe(
      read(JSON.stringify({ ...plain, ruleName: 'usr' })).alert.alertId,
    )
  })

  it.each([
    ['alertId', 'not-a-uuid'],
    ['alertId', null],
    ['hostname', 7],
    ['hostname', ''],
    ['timestamp', 1_700_000_000],
    ['timestamp', '2026-03-01 10:00'],
    ['tripwireType', 'REGISTRY'],
    ['ruleName', ['etc']],
    ['ruleName', 'x'.repeat(1001)],
    ['severity', { level: 1 }],
    ['receivedAt', null],
  ])('is refused when %s is %j, naming both', (field, value) => {
    const error = errorOf({ ...plain, [field]: value })
    expect(error.field).toBe(field)
    expect(error.value).toEqual(value)
  })

  it('is refused when a member is missing', () => {
    const { severity: _severity, ...missing } = plain
    expect(errorOf(missing).field).toBe('severity')
  })

  it('is refused when a member is unknown, naming the likely one', () => {
    const error = errorOf({ ...plain, severty: 'WARN' })
    expect(error.code).toBe('UNKNOWN_OPTION')
    expect(error.field).toBe('alert.severty')
    expect(error.hint).toBe('did you mean severity?')
    expect(errorOf(JSON.parse('{"__proto__":{"severity":"WARN"}}')).field).toBe('alert.__proto__')
  })

  it('is read or refused with an InvalidInputError, whatever it holds', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ ...mapValues(plain, sample => fc.oneof(fc.constant(sample), fc.jsonValue())) })
        .map(one => JSON.stringify(one)),
      fc.constantFrom(`${'['.repeat(300_000)}`, '{"a":'.repeat(100_000), 'null', '[]', '"\\ud800"'),
    )
    fc.assert(
      fc.property(anything, line => {
        try {
          alertSensor.readLine(line)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError)
        }
      }),
    )
  })
})

function mapValues<T>(
  record: { readonly [key: string]: string },
  change: (value: string) => T,
): { [key: string]: T } {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}
