import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ImportOptions, importAlerts } from '../../src/import/import-alerts.ts'
import type { ImportProblem, ImportReport } from '../../src/import/import-report.ts'
import { MemoryTarget } from './memory-target.ts'

async function* bytesOf(text: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  for (let start = 0; start < bytes.length; start += 100) yield bytes.subarray(start, start + 100)
}

const alertLine = (index: number, members: object = {}) =>
  JSON.stringify({
    hostname: 'web-1',
    timestamp: '2026-03-01T10:00:00Z',
    tripwireType: 'FILE',
    ruleName: `rule-${index}`,
    severity: 'WARN',
    ...members,
  })

const alertLines = (count: number) => Array.from({ length: count }, (_, index) => alertLine(index)).join('\n')

const run = (target: MemoryTarget, text: string | Uint8Array, options: Partial<ImportOptions> = {}) =>
  importAlerts(target, bytesOf(text), { format: 'alert', ...options })

describe('an import', () => {
  it('stores every alert under the id of its host', async () => {
    const target = new MemoryTarget()
    const known = '018f3c00-0000-7000-8000-00000000000a'
    const lines = [
      alertLine(1),
      alertLine(2, { hostname: undefined, hostId: known }),
      alertLine(3, { hostname: 'web-2' }),
    ]
    const report = await run(target, lines.join('\n'))
    expect(report).toEqual({
      lines: 3,
      alerts: 3,
      stored: 3,
      duplicates: 0,
      refused: 0,
      skipped: 0,
      skippedByReason: {},
      unreadable: 0,
      problems: [],
      hosts: 2,
    })
    expect([...target.alerts.values()].map(alert => [alert.hostId, alert.ruleName])).toEqual([
      ['host-1', 'rule-1'],
      [known, 'rule-2'],
      ['host-2', 'rule-3'],
    ])
  })

  it('stores nothing twice when it is repeated', async () => {
    const target = new MemoryTarget()
    expect(await run(target, alertLines(1_200))).toMatchObject({ stored: 1_200, duplicates: 0, hosts: 1 })
    expect(await run(target, gzipSync(alertLines(1_200)))).toMatchObject({
      stored: 0,
      duplicates: 1_200,
      hosts: 0,
    })
    expect(target.alerts.size).toBe(1_200)
    expect(target.batches).toEqual([500, 500, 200, 500, 500, 200])
  })

  it('stores earlier than at 500 alerts when the lines are long', async () => {
    const target = new MemoryTarget()
    const long = Array.from({ length: 12 }, (_, index) =>
      alertLine(index, { eventDetail: 'x'.repeat(1_000_000) }),
    )
    expect(await run(target, gzipSync(long.join('\n')))).toMatchObject({ stored: 12 })
    expect(target.batches).toEqual([9, 3])
  })

  it('registers a host once and leaves one that exists as it is', async () => {
    const target = new MemoryTarget()
    target.addHost('web-1', { ipAddress: '192.0.2.7', agentVersion: '2.0.0' })
    const other = Array.from({ length: 1_100 }, (_, index) => alertLine(index, { hostname: 'web-2' }))
    expect(await run(target, [alertLine(1), ...other].join('\n'))).toMatchObject({ hosts: 1 })
    expect(target.upserts).toEqual([{ hostname: 'web-2' }])
  })

  it('leaves a host as it is that was registered while the import ran', async () => {
    const target = new MemoryTarget()
    async function* source() {
      yield Buffer.from(`${alertLines(500)}\n`)
      target.addHost('late', { agentVersion: '2.0.0' })
      yield Buffer.from(alertLine(1, { hostname: 'late' }))
    }
    await importAlerts(target, source(), { format: 'alert' })
    expect(target.upserts.map(host => host.hostname)).toEqual(['web-1'])
  })

  it('goes on after lines and alerts that cannot be taken, and names each with its line', async () => {
    const target = new MemoryTarget()
    const text = [
      '',
      alertLine(1),
      '{"broken"',
      alertLine(2, { ruleName: 'refuse' }),
      '',
      alertLine(3, { severty: 1 }),
    ]
    const problems: ImportProblem[] = []
    const report = await run(target, text.join('\n'), { onProblem: problem => problems.push(problem) })
    expect(report).toMatchObject({ lines: 4, alerts: 2, stored: 1, refused: 1, unreadable: 2 })
    expect(report.problems).toEqual(problems)
    expect(problems).toEqual([
      { lineNumber: 3, message: 'line: expected a JSON object, got "{\\"broken\\""' },
      { lineNumber: 6, message: expect.stringMatching(/^alert\.severty: .*\(did you mean severity\?\)$/) },
      { lineNumber: 4, message: 'ruleName: expected another name, got "refuse" (rename it)' },
    ])
  })

  it('lists the first 20 problems and tells of all', async () => {
    let told = 0
    const report = await run(new MemoryTarget(), 'x\n'.repeat(50), { onProblem: () => told++ })
    expect(report.problems.map(problem => problem.lineNumber)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
    expect([report.unreadable, told]).toEqual([50, 50])
  })

  it('counts what a sensor skips by reason, and bounds the number of reasons', async () => {
    const lines = Array.from({ length: 150 }, (_, index) => `{"Channel":"c${index}"}\n{"Channel":"Security"}`)
    const report = await run(new MemoryTarget(), lines.join('\n'), { format: 'sysmon' })
    expect(report).toMatchObject({ lines: 300, skipped: 300, alerts: 0 })
    expect(report.skippedByReason).toMatchObject({
      'channel Security': 150,
      'channel c0': 1,
      'other reasons': 51,
    })
    expect(Object.keys(report.skippedByReason)).toHaveLength(101)
  })

  it('counts every line that is not empty exactly once', async () => {
    const event = (EventID: number) =>
      JSON.stringify({ Channel: 'Microsoft-Windows-Sysmon/Operational', EventID })
    const anyLine = fc.constantFrom(
      '',
      ' ',
      'x',
      '{"Channel":"Security"}',
      event(7),
      `${event(1).slice(0, -1)},"Hostname":"h","UtcTime":"2024-01-01 00:00:00"}`,
    )
    const anyAlert = fc.constantFrom(
      '',
      '[]',
      alertLine(1),
      alertLine(2),
      alertLine(3, { ruleName: 'refuse' }),
    )
    const files = fc.oneof(
      fc.tuple(fc.constant('sysmon' as const), fc.array(anyLine)),
      fc.tuple(fc.constant('alert' as const), fc.array(anyAlert)),
    )
    await fc.assert(
      fc.asyncProperty(files, async ([format, lines]) => {
        const report = await run(new MemoryTarget(), lines.join('\n'), { format })
        expect(report.lines).toBe(lines.filter(one => one.trim() !== '').length)
        expect(report.lines).toBe(report.alerts + report.skipped + report.unreadable)
        expect(report.alerts).toBe(report.stored + report.duplicates + report.refused)
        expect(Object.values(report.skippedByReason).reduce((sum, count) => sum + count, 0)).toBe(
          report.skipped,
        )
      }),
    )
  })

  it('refuses a format that does not exist', async () => {
    const options = JSON.parse('{"format":"sysmom"}')
    await expect(importAlerts(new MemoryTarget(), bytesOf(''), options)).rejects.toMatchObject({
      field: 'format',
      hint: 'did you mean sysmon?',
    })
  })
})

describe('an import that does not come to its end', () => {
  it('stores what came before the damage of a gzip file', async () => {
    const target = new MemoryTarget()
    const zipped = gzipSync(alertLines(700))
    const shown: ImportReport[] = []
    const importing = run(target, zipped.subarray(0, zipped.length - 4), {
      onProgress: report => shown.push(report),
    })
    await expect(importing).rejects.toMatchObject({
      field: 'source',
      message: expect.stringContaining('after 699 lines'),
    })
    expect(target.alerts.size).toBe(699)
    expect(shown.at(-1)).toMatchObject({ lines: 699, stored: 699 })
  })

  it('stops when it is told to, and stores what was read before', async () => {
    const target = new MemoryTarget()
    const stop = new AbortController()
    const reason = new Error('enough')
    async function* source() {
      yield Buffer.from(`${alertLines(10)}\n`)
      stop.abort(reason)
      yield Buffer.from(alertLine(11))
    }
    await expect(importAlerts(target, source(), { format: 'alert', signal: stop.signal })).rejects.toBe(
      reason,
    )
    expect(target.alerts.size).toBe(10)
  })

  it('passes an error of the store on, does not try again and releases the source', async () => {
    const target = new MemoryTarget()
    const failure = new Error('no database')
    let calls = 0
    let released = false
    target.insertAlerts = async () => {
      calls++
      throw failure
    }
    async function* source() {
      try {
        yield Buffer.from(`${alertLines(600)}\n`)
      } finally {
        released = true
      }
    }
    await expect(importAlerts(target, source(), { format: 'alert' })).rejects.toBe(failure)
    expect([calls, released]).toEqual([1, true])
  })
})

describe('the progress of an import', () => {
  it('is shown at most four times a second and once at the end, with the bytes of the source', async () => {
    const shown: { at: number; lines: number; bytesRead: number }[] = []
    let clock = 0
    const zipped = gzipSync(alertLines(1_000))
    await run(new MemoryTarget(), zipped, {
      now: () => clock++,
      onProgress: (report, bytesRead) => shown.push({ at: clock, lines: report.lines, bytesRead }),
    })
    expect(shown.length).toBeGreaterThan(3)
    expect(shown.length).toBeLessThan(6)
    expect(shown.at(-1)).toMatchObject({ lines: 1_000, bytesRead: zipped.length })
  })
})
