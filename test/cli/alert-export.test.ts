import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawJson, type Store } from '../../src/index.ts'
import { newAlert, newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { bytesOf, jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, argv)
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const SPAN = ['--from', '2026-02-10', '--to', '2026-02-11'] as const
const ids = Array.from({ length: 6 }, (_, n) => `00000000-0000-4000-8000-00000000000${n}`)
let store: Store
let hostId: string
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tripwire-export-'))
  store = await openStore(database)
  hostId = await store.upsertHost({ hostname: 'web-1' })
  const otherHost = await store.upsertHost({ hostname: 'db-1' })
  const at = (n: number) => ({ alertId: ids[n] ?? '', receivedAt: `2026-02-10T00:00:00.00000${n}Z` })
  await store.insertAlerts([
    newAlert(hostId, {
      ...at(0),
      severity: 'INFO',
      eventDetail: RawJson.fromText('{"pid":9007199254740993}'),
    }),
    newAlert(hostId, { ...at(1), severity: 'WARN', eventDetail: RawJson.from(null) }),
    newAlert(otherHost, { ...at(2), severity: 'CRITICAL', ruleName: '=cmd|"calc"!A1' }),
    newAlert(hostId, {
      ...at(3),
      severity: 'INFO',
      tripwireType: 'PROCESS',
      ruleName: 'two\nlines, "quoted"',
    }),
    newAlert(otherHost, {
      ...at(4),
      severity: 'INFO',
      tripwireType: 'NETWORK',
      ruleName: '@sum',
      eventDetail: -5,
    }),
    newAlert(hostId, { ...at(5), severity: 'WARN', eventDetail: { path: '/etc/passwd', uid: 0 } }),
  ])
})
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

const idsIn = (stdout: string) => jsonLines(stdout).map(alert => ids.indexOf(String(alert['alertId'])))

describe('alerts', () => {
  it.each<readonly [readonly string[], readonly number[]]>([
    [[], [5, 4, 3, 2, 1, 0]],
    [['--oldest'], [0, 1, 2, 3, 4, 5]],
    [
      ['--host', 'web-1', '--host', 'db-1', '--severity', 'info'],
      [4, 3, 0],
    ],
    [
      ['--severity', 'warn', '--severity', 'CRITICAL'],
      [5, 2, 1],
    ],
    [
      ['--type', 'network', '--type', 'process'],
      [4, 3],
    ],
    [
      ['--rule', '@sum', '--rule', '=cmd|"calc"!A1'],
      [4, 2],
    ],
    [['--detail', '{"uid":0}'], [5]],
    [['--timestamp-from', '2026-03-02'], []],
  ])('%j selects %j', async (flags, expected) => {
    const { exitCode, stdout } = await run('alerts', ...SPAN, '--json', ...flags)
    expect(exitCode).toBe(0)
    expect(idsIn(stdout)).toEqual(expected)
  })

  it('say how to go on, with moments that stay the same', async () => {
    const found: number[] = []
    let goOn: readonly string[] = [...SPAN]
    for (let page = 0; page < 3; page++) {
      const { stdout, stderr } = await run('alerts', '--json', '--oldest', '--limit', '2', ...goOn)
      found.push(...idsIn(stdout))
      goOn = /go on with: (.*)\n/.exec(stderr)?.[1]?.split(' ') ?? []
      expect(goOn.length > 0).toBe(page < 2)
    }
    expect(found).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('show one with its detail, or end with 1', async () => {
    const shown = await run('alerts', 'show', ids[0] ?? '')
    expect(shown.stdout).toContain(`host      web-1 (${hostId})`)
    expect(shown.stdout).toContain('detail    {"pid": 9007199254740993}')
    const json = await run('alerts', 'show', ids[3] ?? '', '--json')
    expect(jsonLines(json.stdout)[0]).toMatchObject({ alertId: ids[3], ruleName: 'two\nlines, "quoted"' })
    expect((await run('alerts', 'show', ids[3] ?? '')).stdout).toContain('two\\u000alines')
    const absent = await run('alerts', 'show', hostId)
    expect(absent).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('NOT_FOUND') })
    expect((await run('alerts', 'show', 'x')).exitCode).toBe(2)
  })

  it('name the flag whose value is not acceptable', async () => {
    for (const [flag, value] of [
      ['--type', 'disk'],
      ['--detail', '{'],
      ['--timestamp-to', 'soon'],
    ] as const) {
      const { exitCode, stderr } = await run('alerts', flag, value)
      expect(exitCode).toBe(2)
      expect(stderr).toContain(flag)
    }
  })
})

describe('alerts export', () => {
  it('writes NDJSON, oldest first, which ingest reads as the same alerts', async () => {
    const { exitCode, stdout, stderr } = await run('alerts', 'export', ...SPAN)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(idsIn(stdout)).toEqual([0, 1, 2, 3, 4, 5])
    expect(stdout).toContain('"eventDetail":{"pid": 9007199254740993}')
    const again = await runCli(database.connectionString, ['ingest', '--json'], bytesOf(stdout))
    expect(jsonLines(again.stdout)[0]).toMatchObject({ lines: 6, stored: 0, duplicates: 6, unreadable: 0 })
    expect(idsIn((await run('alerts', 'export', ...SPAN, '--newest')).stdout)).toEqual([5, 4, 3, 2, 1, 0])
  })

  it('writes CSV by RFC 4180, where no spreadsheet finds a formula', async () => {
    const { stdout } = await run('alerts', 'export', ...SPAN, '--format', 'csv')
    const rest = (n: number) => `${ids[n]},${n === 2 || n === 4 ? '%' : hostId},2026-03-01T10:00:00.123456Z`
    const received = (n: number) => `2026-02-10T00:00:00.00000${n}Z`
    const lines = stdout
      .replaceAll(/,(?!web)[0-9a-f-]{36},/g, id => (id === `,${hostId},` ? id : ',%,'))
      .split('\r\n')
    expect(lines).toEqual([
      'alertId,hostId,timestamp,tripwireType,ruleName,severity,receivedAt,eventDetail',
      `${rest(0)},FILE,etc-passwd,INFO,${received(0)},"{""pid"": 9007199254740993}"`,
      `${rest(1)},FILE,etc-passwd,WARN,${received(1)},null`,
      `${rest(2)},FILE,"'=cmd|""calc""!A1",CRITICAL,${received(2)},`,
      `${rest(3)},PROCESS,"two\nlines, ""quoted""",INFO,${received(3)},`,
      `${rest(4)},NETWORK,'@sum,INFO,${received(4)},'-5`,
      `${rest(5)},FILE,etc-passwd,WARN,${received(5)},"{""uid"": 0, ""path"": ""/etc/passwd""}"`,
      '',
    ])
  })

  it('writes a new file that only its owner reads, and never over one', async () => {
    const path = join(folder, 'alerts.ndjson')
    const { exitCode, stdout } = await run('alerts', 'export', ...SPAN, '--out', path)
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${path}  6 alerts\n` })
    const content = await readFile(path, 'utf8')
    expect(idsIn(content)).toEqual([0, 1, 2, 3, 4, 5])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const again = await run('alerts', 'export', ...SPAN, '--out', path)
    expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('not there yet') })
    expect(await readFile(path, 'utf8')).toBe(content)
    expect((await run('alerts', 'export', '--out', join(folder, 'no', 'folder'))).exitCode).toBe(1)
    expect(await readdir(folder)).toEqual(['alerts.ndjson'])
  })

  it('that is stopped leaves no file, and ends with 1', async () => {
    const stop = new AbortController()
    stop.abort()
    const path = join(folder, 'stopped.ndjson')
    const options = { signal: stop.signal }
    const { exitCode, stderr } = await runCli(
      database.connectionString,
      ['alerts', 'export', '--out', path],
      undefined,
      options,
    )
    expect(exitCode).toBe(1)
    expect(stderr).toContain('stopped after 0 alerts')
    expect(await readdir(folder)).not.toContain('stopped.ndjson')
  })

  it('shows its progress on a terminal', async () => {
    const { stderr } = await runCli(database.connectionString, ['alerts', 'export', ...SPAN], undefined, {
      isTTY: true,
    })
    expect(stderr).toContain('6 alerts')
  })
})

describe('the reader of an export', () => {
  /** More than the pipe and both sides' buffers hold. */
  const COUNT = 20_000

  beforeAll(async () => {
    const host = await newHost(store)
    const eventDetail = { text: 'x'.repeat(500) }
    await store.insertAlerts(newAlerts(COUNT, host, { receivedAt: '2026-02-20T00:00:00Z', eventDetail }))
  }, 60_000)

  const start = () => {
    const child = spawn(
      process.execPath,
      [MAIN, 'alerts', 'export', '--from', '2026-02-20', '--to', '2026-02-21'],
      {
        env: { ...process.env, TRIPWIRE_DATABASE_URL: database.connectionString },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    return { child, exit: once(child, 'exit') }
  }

  it('may be slow: what it has not read waits in the database', async () => {
    const { child, exit } = start()
    // The store is idle: both pages are in memory, and the pipe is full.
    await expect
      .poll(
        () =>
          database.sql(`
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle' AND query LIKE '%FROM alerts%' AND query NOT LIKE '%pg_stat%'
              AND clock_timestamp() - state_change > INTERVAL '300 milliseconds'`),
        { timeout: 20_000 },
      )
      .toHaveLength(1)
    expect(child.exitCode).toBeNull()
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    expect((await exit)[0]).toBe(0)
    expect(text.split('\n')).toHaveLength(COUNT + 1)
  }, 60_000)

  it('may leave, and then the export ends in order', async () => {
    const { child, exit } = start()
    await once(child.stdout, 'data')
    child.stdout.destroy()
    expect((await exit)[0]).toBe(0)
  }, 60_000)
})
