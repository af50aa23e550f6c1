import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { bytesOf, jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const ingest = (argv: readonly string[], ...stdin: string[]) =>
  runCli(database.connectionString, ['ingest', ...argv], bytesOf(...stdin))

const alert = (ruleName: string, more: object = {}) =>
  JSON.stringify({
    hostname: 'web-1',
    timestamp: '2026-02-03T04:05:06.789012Z',
    tripwireType: 'FILE',
    severity: 'WARN',
    ruleName,
    ...more,
  })

describe('ingest of our own JSON', () => {
  it('stores the good lines, reports the others by number, and ends with 1', async () => {
    const lines = [
      alert('first'),
      '{"broken',
      alert('second', { severity: 'SEVERE' }),
      '',
      alert('third', { eventDetail: 'nul \u0000' }),
      alert('fourth', { hostname: undefined, hostId: '00000000-0000-4000-8000-000000000000' }),
      alert('fifth'),
    ]
    const { exitCode, stdout, stderr } = await ingest(['--json'], lines.join('\n'))
    expect(jsonLines(stdout)[0]).toMatchObject({
      lines: 6,
      alerts: 4,
      stored: 2,
      refused: 2,
      unreadable: 2,
      hosts: 1,
    })
    expect(exitCode).toBe(1)
    expect(stderr).toBe('')

    const report = await ingest([], lines.join('\n'))
    expect(report.stderr).toMatch(/^line 2: .*\nline 3: severity.*\nline 5: .*\nline 6: .*no host/)
    expect(report.stdout).toMatch(/alerts stored before\s+2/)
    const stored = await database.sql(`SELECT rule_name FROM alerts ORDER BY 1`)
    expect(stored).toEqual([{ rule_name: 'fifth' }, { rule_name: 'first' }])
  })

  it('shows progress on a terminal only', async () => {
    const silent = await ingest(['--json'], alert('silent'))
    expect(silent.stderr).toBe('')
    const shown = await runCli(database.connectionString, ['ingest', '--json'], bytesOf(alert('shown')), {
      isTTY: true,
    })
    expect(shown.stderr).toContain('1 lines')
  })

  it('keeps what was read before the gzip data broke off, and fails', async () => {
    const whole = gzipSync(
      Array.from({ length: 2000 }, (_, index) => alert(`cut ${index} ${Math.random()}`)).join('\n'),
    )
    const { exitCode, stderr } = await runCli(
      database.connectionString,
      ['ingest'],
      chunk(whole.subarray(0, whole.length / 2)),
    )
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('source')
    const [row] = await database.sql(`SELECT count(*)::int AS kept FROM alerts WHERE rule_name LIKE 'cut %'`)
    expect(row?.['kept']).toBeGreaterThan(100)
  })

  it('stops when it is asked to, keeps what it has read, and says so', async () => {
    const stop = new AbortController()
    async function* endless(): AsyncIterable<Uint8Array> {
      for (let index = 0; ; index++) {
        if (index === 700) stop.abort()
        yield Buffer.from(`${alert(`endless ${index}`)}\n`)
      }
    }
    const { exitCode, stdout, stderr } = await runCli(
      database.connectionString,
      ['ingest', '--json'],
      endless(),
      {
        signal: stop.signal,
      },
    )
    expect(exitCode).toBe(1)
    expect(stderr).toContain('stopped before the end')
    const [report] = jsonLines(stdout)
    const [row] = await database.sql(
      `SELECT count(*)::int AS kept FROM alerts WHERE rule_name LIKE 'endless %'`,
    )
    expect(row?.['kept']).toBe(report?.['stored'])
    expect(row?.['kept']).toBeGreaterThanOrEqual(699)
  })

  it('stores the same lines once, however often they are read, also when they were stored in an earlier month', async () => {
    const line = alert('earlier', {
      alertId: '0b4f3f0a-1111-4222-8333-444455556666',
      receivedAt: '2026-02-10T00:00:00Z',
    })
    expect(jsonLines((await ingest(['--json'], line)).stdout)[0]).toMatchObject({ stored: 1 })
    const without = alert('earlier', { alertId: '0b4f3f0a-1111-4222-8333-444455556666' })
    expect(jsonLines((await ingest(['--json'], without)).stdout)[0]).toMatchObject({
      stored: 0,
      duplicates: 1,
    })
  })
})

async function* chunk(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

const FOLDER = fileURLToPath(new URL('../../../shared/data/', import.meta.url))
const FILES = [
  'empire_launcher_vbs_2020-09-04160940.ndjson.gz',
  'sysmon_log4shell_cve2021_44228_java_serialized_object_2022-05-13045800.ndjson.gz',
]
const present = existsSync(FOLDER)

/** Written apart from the adapter on purpose. */
function typeOf(event: { Channel?: string; EventID?: number }): string | undefined {
  if (event.Channel !== 'Microsoft-Windows-Sysmon/Operational' || event.EventID === undefined)
    return undefined
  if ([1, 5, 8, 10, 25].includes(event.EventID)) return 'PROCESS'
  if ([3, 22].includes(event.EventID)) return 'NETWORK'
  return [2, 11, 12, 13, 14, 15, 23, 26, 29].includes(event.EventID) ? 'FILE' : undefined
}

describe.skipIf(!present)(
  `recorded Sysmon events${present ? '' : ' (skipped: they are not beside the repository)'}`,
  () => {
    it('give the counts of an independent reading, and nothing new when they are read again', async () => {
      const expected: Record<string, number> = {}
      const hosts = new Set<string>()
      for (const file of FILES) {
        for (const line of gunzipSync(readFileSync(`${FOLDER}${file}`))
          .toString()
          .split('\n')) {
          if (line.trim() === '') continue
          const event = JSON.parse(line)
          const type = typeOf(event)
          if (type === undefined) continue
          expected[type] = (expected[type] ?? 0) + 1
          hosts.add(event.Hostname ?? event.Computer)
        }
      }
      for (let time = 1; time <= 2; time++) {
        for (const file of FILES) {
          const source = time === 1 ? [`${FOLDER}${file}`] : ['-']
          const stdin = createReadStream(`${FOLDER}${file}`)
          const { exitCode, stdout } = await runCli(
            database.connectionString,
            ['ingest', '--format', 'sysmon', '--json', ...source],
            stdin,
          )
          stdin.destroy()
          expect(exitCode).toBe(0)
          const [report] = jsonLines(stdout)
          expect(report?.[time === 1 ? 'duplicates' : 'stored']).toBe(0)
        }
        const counted = await database.sql(`
          SELECT tripwire_type, count(*)::int AS count
          FROM alerts
          WHERE host_id IN (SELECT host_id FROM hosts WHERE platform = 'windows')
          GROUP BY 1`)
        expect(Object.fromEntries(counted.map(row => [row['tripwire_type'], row['count']]))).toEqual(expected)
      }
      const registered = await database.sql(`SELECT hostname FROM hosts WHERE platform = 'windows'`)
      expect(new Set(registered.map(row => row['hostname']))).toEqual(hosts)
    })
  },
)
