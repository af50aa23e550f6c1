import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/errors.ts'
import { SYSMON_EVENT_TYPES } from '../../src/sensors/sysmon-event-types.ts'
import { sysmonSensor } from '../../src/sensors/sysmon-sensor.ts'

const flat = {
  EventID: 8,
  RecordNumber: 41_007,
  Hostname: 'PC-7.example.test',
  Channel: 'Microsoft-Windows-Sysmon/Operational',
  EventTime: '2024-02-29 13:30:00',
  EventReceivedTime: '2024-02-29 13:30:02',
  '@timestamp': '2024-02-29T12:30:03.001Z',
  UtcTime: '2024-02-29 12:30:00.123',
  RuleName: '-',
  SourceImage: 'C:\\Temp\\a.exe',
}

const data = {
  RuleName: 'T1055,injection',
  UtcTime: '2024-02-29T12:30:00.1234567Z',
  SourceImage: 'C:\\Temp\\a.exe',
  TargetImage: 'C:\\Windows\\System32\\lsass.exe',
  GrantedAccess: '0x1410',
}

const logAnalytics = {
  Computer: 'PC-8',
  Channel: 'Microsoft-Windows-Sysmon/Operational',
  EventID: 10,
  TimeGenerated: '2024-02-29T12:30:00.127Z',
  EventOriginId: 'c0ffee00-0000-4000-8000-000000000001',
  EventData: JSON.stringify(data),
}

function read(event: object | string) {
  const result = sysmonSensor.readLine(typeof event === 'string' ? event : JSON.stringify(event))
  if (result.kind !== 'alert') throw new Error(`skipped: ${result.reason}`)
  return { host: result.host, ...result.alert }
}

const idOf = (event: object) => read(event).alertId

describe('a Sysmon event', () => {
  it('becomes an alert from the flat shape', () => {
    expect(read(flat)).toMatchObject({
      host: { hostname: 'PC-7.example.test', platform: 'windows' },
      timestamp: '2024-02-29T12:30:00.123000Z',
      tripwireType: 'PROCESS',
      ruleName: 'CreateRemoteThread',
      severity: 'CRITICAL',
    })
    expect(read(flat)).not.toHaveProperty('receivedAt')
  })

  it('becomes an alert from the shape of the log-analytics agent, its data as text or as an object', () => {
    const expected = {
      host: { hostname: 'PC-8', platform: 'windows' },
      timestamp: '2024-02-29T12:30:00.123456Z',
      tripwireType: 'PROCESS',
      ruleName: 'T1055,injection',
      severity: 'CRITICAL',
    }
    expect(read(logAnalytics)).toMatchObject(expected)
    expect(read({ ...logAnalytics, EventData: data })).toMatchObject(expected)
  })

  it('is kept character by character', () => {
    const line = `{"Keywords": -9223372036854775808,  ${JSON.stringify(flat).slice(1)}`
    expect(String(read(line).eventDetail)).toBe(line)
  })

  it('is a process, network or file event by its id, and skipped with the id otherwise', () => {
    const expected = {
      PROCESS: [1, 5, 8, 10, 25],
      NETWORK: [3, 22],
      FILE: [2, 11, 12, 13, 14, 15, 23, 26, 29],
    }
    expect(SYSMON_EVENT_TYPES.size).toBe(16)
    for (const [tripwireType, ids] of Object.entries(expected)) {
      for (const EventID of ids) expect(read({ ...flat, EventID }).tripwireType).toBe(tripwireType)
    }
    for (const EventID of [4, 6, 7, 9, 16, 17, 18, 255]) {
      expect(sysmonSensor.readLine(JSON.stringify({ ...flat, EventID }))).toEqual({
        kind: 'skipped',
        reason: `Sysmon event ${EventID}`,
      })
    }
  })

  it('of another channel is skipped, even without the members of a Sysmon event', () => {
    const security = { EventID: 1, Channel: 'Security' }
    expect(sysmonSensor.readLine(JSON.stringify(security))).toEqual({
      kind: 'skipped',
      reason: 'channel Security',
    })
  })

  it('is CRITICAL when it opens the memory of lsass for reading, WARN for another access or process', () => {
    const access = { ...flat, EventID: 10, TargetImage: 'C:\\WINDOWS\\system32\\LSASS.EXE' }
    expect(read({ ...access, GrantedAccess: '0x1fffff' }).severity).toBe('CRITICAL')
    expect(read({ ...access, GrantedAccess: '0x1000' }).severity).toBe('WARN')
    expect(read({ ...access, GrantedAccess: 'all' }).severity).toBe('WARN')
    expect(read({ ...access, TargetImage: 'C:\\notlsass.exe', GrantedAccess: '0x1fffff' }).severity).toBe(
      'WARN',
    )
  })

  it('takes its time from UtcTime, TimeGenerated, EventTime with an offset, @timestamp, in this order', () => {
    const { UtcTime: _utcTime, ...untimed } = flat
    expect(read({ ...untimed, TimeGenerated: '2024-02-29T12:30:01.5Z' }).timestamp).toBe(
      '2024-02-29T12:30:01.500000Z',
    )
    expect(read({ ...untimed, EventTime: '2024-02-29T13:30:00+01:00' }).timestamp).toBe(
      '2024-02-29T12:30:00.000000Z',
    )
    expect(read(untimed).timestamp).toBe('2024-02-29T12:30:03.001000Z')
    const { '@timestamp': _shipped, ...local } = untimed
    expect(() => read(local)).toThrow(
      'UtcTime: expected a time in UtcTime, TimeGenerated or @timestamp, got undefined',
    )
    expect(() => read({ ...flat, UtcTime: 'yesterday' })).toThrow('UtcTime: expected a time such as')
    expect(() => read({ ...flat, UtcTime: '2023-02-29 12:30:00' })).toThrow(InvalidInputError)
  })

  it.each([
    ['Channel', { ...flat, Channel: 5 }],
    ['EventID', { ...flat, EventID: 'one' }],
    ['Hostname', { ...flat, Hostname: undefined }],
    ['Computer', { ...logAnalytics, Computer: null }],
    ['EventData', { ...logAnalytics, EventData: '{"UtcTime":' }],
    ['EventData', { ...logAnalytics, EventData: [1] }],
    ['RuleName', { ...flat, RuleName: { name: 1 } }],
    ['line', [1]],
  ])('is refused when %s cannot be read, naming it', (field, event) => {
    expect(() => read(event)).toThrow(expect.objectContaining({ field, code: 'INVALID_INPUT' }))
  })

  it('is read, skipped or refused with an InvalidInputError, whatever it holds', () => {
    const members = fc.dictionary(
      fc.constantFrom(...Object.keys({ ...flat, ...logAnalytics })),
      fc.jsonValue(),
    )
    const shapes = fc.constantFrom<object>(flat, logAnalytics)
    fc.assert(
      fc.property(shapes, members, (shape, changed) => {
        try {
          sysmonSensor.readLine(JSON.stringify({ ...shape, ...changed }))
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError)
        }
      }),
    )
  })
})

describe('the id of a Sysmon event', () => {
  it('does not depend on layout, order or shipping', () => {
    const shippedAgain = {
      ...flat,
      EventReceivedTime: '2024-03-01 00:00:00',
      '@timestamp': '2024-03-01T00:00:00Z',
    }
    const reversed = Object.fromEntries(Object.entries(shippedAgain).reverse())
    expect(read(JSON.stringify(reversed, null, 2).replaceAll('\n', ' ')).alertId).toBe(idOf(flat))
    expect(read(JSON.stringify(logAnalytics, null, 1).replaceAll('\n', '')).alertId).toBe(idOf(logAnalytics))
  })

  it.each(['Hostname', 'RecordNumber', 'EventID', 'UtcTime'])('differs with %s in the flat shape', name => {
    const others = { Hostname: 'PC-9', RecordNumber: 41_008, EventID: 10, UtcTime: '2024-02-29 12:30:00.124' }
    expect(idOf({ ...flat, [name]: new Map(Object.entries(others)).get(name) })).not.toBe(idOf(flat))
  })

  it('differs with content and time in the log-analytics shape, and not with EventOriginId', () => {
    const ids = [
      idOf(logAnalytics),
      idOf({ ...logAnalytics, EventData: JSON.stringify({ ...data, SourceThreadId: '8' }) }),
      idOf({ ...logAnalytics, TimeGenerated: '2024-02-29T12:30:00.13Z' }),
      idOf({ ...logAnalytics, Computer: 'PC-9' }),
      idOf({ ...logAnalytics, EventRecordId: 1 }),
      idOf({ ...logAnalytics, EventRecordId: 2 }),
    ]
    expect(new Set(ids).size).toBe(ids.length)
    expect(idOf({ ...logAnalytics, EventOriginId: 'c0ffee00-0000-4000-8000-000000000002' })).toBe(ids[0])
  })

  it('comes from the whole text when a part of the identity is missing or lost digits', () => {
    const { RecordNumber: _recordNumber, ...unnumbered } = flat
    expect(idOf(unnumbered)).toBe(idOf(unnumbered))
    expect(idOf({ ...unnumbered, SourceImage: 'b' })).not.toBe(idOf(unnumbered))
    const numbered = (digits: string) =>
      read(`{"RecordNumber":${digits},${JSON.stringify(unnumbered).slice(1)}`).alertId
    expect(numbered('9007199254740993')).not.toBe(numbered('9007199254740992'))
  })
})
