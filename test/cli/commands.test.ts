import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawJson, Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { bytesOf, jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, argv)
let store: Store
let hostId: string

beforeAll(async () => {
  store = await Store.open({ connectionString: database.connectionString })
  hostId = await store.upsertHost({ hostname: 'web-1', ipAddress: '2001:db8::1', status: 'ONLINE' })
})
afterAll(() => store.close())

describe('alerts', () => {
  beforeAll(async () => {
    const plain = { hostId, timestamp: new Date(), tripwireType: 'FILE', ruleName: 'etc' } as const
    await store.insertAlerts([
      { ...plain, severity: 'INFO', eventDetail: RawJson.fromText('{"id":9007199254740993}') },
      { ...plain, severity: 'WARN', eventDetail: RawJson.from(null) },
      { ...plain, severity: 'CRITICAL', ruleName: 'a\u001b[2Jb\u202e' },
    ])
  })

  it('are listed as one JSON object a line, with all digits, and SQL NULL apart from JSON null', async () => {
    const { exitCode, stdout } = await run('alerts', '--json', '--to', '2099-01-01')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('"eventDetail":{"id": 9007199254740993}')
    const bySeverity = new Map(jsonLines(stdout).map(alert => [alert['severity'], alert]))
    expect(bySeverity.get('WARN')).toHaveProperty('eventDetail', null)
    expect(bySeverity.get('CRITICAL')).not.toHaveProperty('eventDetail')
  })

  it('are listed as a table, where a name cannot steer the terminal', async () => {
    const { stdout } = await run('alerts', '--severity', 'critical', '--to', '2099-01-01')
    expect(stdout.split('\n')[0]).toMatch(/^RECEIVED\s+SEVERITY\s+TYPE\s+HOST\s+RULE\s+ID$/)
    expect(stdout).toContain('web-1')
    expect(stdout).toContain('a\\u001b[2Jb\\u202e')
    expect(stdout).not.toContain('\u001b')
  })

  it('can be narrowed to a host by name or id, and paged', async () => {
    for (const host of ['web-1', hostId.toUpperCase()]) {
      const { stdout } = await run('alerts', '--host', host, '--json', '--to', '2099-01-01', '--limit', '2')
      expect(jsonLines(stdout)).toHaveLength(2)
    }
    const rest = await run('alerts', '--json', '--to', '2099-01-01', '--offset', '2')
    expect(jsonLines(rest.stdout)).toHaveLength(1)
  })

  it('come back through ingest as they went out', async () => {
    const { stdout } = await run('alerts', '--json', '--to', '2099-01-01')
    const again = await runCli(database.connectionString, ['ingest', '--json'], bytesOf(stdout))
    expect(jsonLines(again.stdout)[0]).toMatchObject({ lines: 3, stored: 0, duplicates: 3, unreadable: 0 })
  })
})

describe('hosts and rules', () => {
  it('are added, listed, switched and removed', async () => {
    const added = await run('hosts', 'add', 'db-1', '--ip', '10.0.0.0/8', '--status', 'degraded')
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    const hosts = jsonLines((await run('hosts', '--json')).stdout)
    expect(hosts.map(host => [host['hostname'], host['ipAddress'], host['status']])).toEqual([
      ['db-1', '10.0.0.0/8', 'DEGRADED'],
      ['web-1', '2001:db8::1', 'ONLINE'],
    ])

    const global = (await run('rules', 'add', '/etc/passwd', '--type', 'file')).stdout.trim()
    const own = (
      await run('rules', 'add', ':4444', '--type', 'NETWORK', '--host', 'db-1', '--disabled')
    ).stdout.trim()
    const listed = async (...flags: string[]) =>
      jsonLines((await run('rules', '--json', ...flags)).stdout).map(rule => [
        rule['ruleId'],
        rule['enabled'],
      ])
    expect(await listed()).toEqual([
      [global, true],
      [own, false],
    ])
    expect(await listed('--host', 'web-1')).toEqual([[global, true]])

    await run('rules', 'enable', own)
    await run('rules', 'disable', global)
    expect(await listed('--host', 'db-1')).toEqual([
      [global, false],
      [own, true],
    ])
    expect(await run('rules', 'remove', own)).toMatchObject({ exitCode: 0 })
    const twice = await run('rules', 'remove', own)
    expect(twice).toMatchObject({ exitCode: 1 })
    expect(twice.stderr).toContain('NOT_FOUND')
  })
})

describe('audit list', () => {
  it('shows the entries of a host in the order of the chain', async () => {
    const hashes = ['0'.repeat(64), '1'.repeat(64), '2'.repeat(64)] as const
    for (const sequenceNum of [1, 2]) {
      await store.insertAuditEntry({
        hostId,
        sequenceNum,
        prevHash: hashes[sequenceNum - 1] ?? '',
        eventHash: hashes[sequenceNum] ?? '',
        payload: { sequenceNum },
      })
    }
    const { stdout } = await run('audit', 'list', '--host', 'web-1', '--json')
    expect(jsonLines(stdout).map(entry => entry['sequenceNum'])).toEqual([1, 2])
    const table = await run('audit', 'list', '--host', 'web-1', '--from', '2099-01-01')
    expect(table.stdout.trim().split('\n')).toHaveLength(1)
  })
})

describe('migrate', () => {
  it('shows the state, and says so when there is nothing to do', async () => {
    expect((await run('migrate', 'status')).stdout).toMatch(/^version \d+\n[\s\S]*applied/)
    expect((await run('migrate', 'up')).stdout).toBe('nothing to do\n')
    expect((await run('migrate', 'up', '--dry-run')).stdout).toBe('')
  })
})

describe('a command line that cannot be carried out', () => {
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['an unknown command', ['alrts'], 2, /unknown command 'alrts'[\s\S]*Did you mean alerts\?/],
    ['an unknown option', ['alerts', '--sevrity', 'INFO'], 2, /Did you mean --severity\?/],
    [
      'an unknown severity',
      ['alerts', '--severity', 'CRITICALL'],
      2,
      /--severity[\s\S]*did you mean CRITICAL\?/,
    ],
    ['a moment that is none', ['alerts', '--from', 'yesterday'], 2, /--from: expected a moment/],
    ['to before from', ['alerts', '--from', 'now', '--to', '-1h'], 2, /query\.to/],
    ['a negative limit', ['alerts', '--limit', '-3'], 2, /query\.limit/],
    ['a limit that is no number', ['alerts', '--limit', '1e3'], 2, /--limit/],
    ['an unknown host', ['alerts', '--host', 'web-2'], 2, /did you mean web-1\?/],
    ['a missing argument', ['migrate', 'down'], 2, /missing required argument 'n'/],
    ['steps below one', ['migrate', 'up', '0'], 2, /steps/],
    ['a flag before the subcommand', ['hosts', '--database-url', 'x', 'add', 'y'], 2, /too many arguments/],
    ['an unknown format', ['ingest', '--format', 'xml'], 2, /Allowed choices are alert, sysmon/],
    ['a file that is not there', ['ingest', '/no/such/file'], 2, /file: expected a file that can be read/],
    [
      'a server that does not answer',
      ['hosts', '--database-url', 'postgres://u:secret@127.0.0.1:1/x'],
      1,
      /CONNECTION_FAILED/,
    ],
    [
      'a URL that is none',
      ['hosts', '--database-url', 'postgres://u:secret@[/x'],
      2,
      /INVALID_CONNECTION_STRING/,
    ],
  ]
  it.each(cases)('%s ends with the right code and says why', async (_, argv, exitCode, message) => {
    const result = await run(...argv)
    expect(result.stderr).toMatch(message)
    expect(result.stderr).not.toContain('secret')
    expect(result.exitCode).toBe(exitCode)
    expect(result.stdout).toBe('')
  })

  it('documents the exit codes in every --help', async () => {
    for (const argv of [['--help'], ['alerts', '--help'], ['migrate', 'down', '--help']]) {
      const { exitCode, stdout } = await run(...argv)
      expect(exitCode).toBe(0)
      expect(stdout).toContain('Exit codes:')
    }
  })
})
