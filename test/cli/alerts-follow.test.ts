import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandContext } from '../../src/cli/command-context.ts'
import { EXIT_CODE } from '../../src/cli/exit-code.ts'
import { buildProgram } from '../../src/cli/program.ts'
import type { Store } from '../../src/index.ts'
import { newAlert, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()

let store: Store
let hostId: string
beforeAll(async () => {
  store = await openStore(database)
  hostId = await store.upsertHost({ hostname: 'web-1' })
  // The journal of a database that was just copied begins with the first maintenance.
  await store.runMaintenance()
})
afterAll(() => store.close())

/** The command, while it runs. */
class Following {
  stdout = ''
  stderr = ''
  readonly #stop = new AbortController()
  readonly #context: CommandContext
  readonly #running: Promise<unknown>

  constructor(...argv: readonly string[]) {
    this.#context = {
      signal: this.#stop.signal,
      stdout: { write: text => (this.stdout += text) },
      stderr: { write: text => (this.stderr += text) },
      stdin: (async function* () {})(),
      env: { TRIPWIRE_DATABASE_URL: database.connectionString },
      exitCode: EXIT_CODE.done,
    }
    this.#running = buildProgram(this.#context).parseAsync(['alerts', '--follow', ...argv], { from: 'user' })
  }

  async waitFor(text: string): Promise<void> {
    await expect.poll(() => this.stdout, { timeout: 20_000 }).toContain(text)
  }

  /** As Ctrl-C does. Returns the token. */
  async stop(): Promise<string> {
    this.#stop.abort()
    await this.#running
    expect(this.#context.exitCode).toBe(EXIT_CODE.done)
    return /--after (\S+)/.exec(this.stderr)?.[1] ?? ''
  }
}

describe('alerts --follow', () => {
  it('prints what its filter lets pass as it is committed, and goes on with the token that it told', async () => {
    const flags = ['--json', '--severity', 'critical', '--host', 'web-1']
    const started = new Date(Date.now() - 1000).toISOString()
    const [first, second, third] = [1, 2, 3].map(() => newAlert(hostId, { severity: 'CRITICAL' }))
    if (!first || !second || !third) throw new Error('three alerts were made')
    await store.insertAlerts([first, newAlert(hostId)])
    const following = new Following(...flags, '--after', started)
    await following.waitFor(first.alertId)
    await store.insertAlerts([second])
    await following.waitFor(second.alertId)
    const token = await following.stop()
    expect(jsonLines(following.stdout).map(line => line['alertId'])).toEqual([first.alertId, second.alertId])

    await store.insertAlerts([third])
    const later = new Following(...flags, '--after', token)
    await later.waitFor(third.alertId)
    await later.stop()
    expect(jsonLines(later.stdout).map(line => line['alertId'])).toEqual([third.alertId])
  })

  it('prints lines with the names of hosts, and nothing that steers a terminal', async () => {
    const alert = newAlert(hostId, { ruleName: 'a\u001b[31mb' })
    const following = new Following('--after', '-1h')
    await store.insertAlerts([alert])
    await following.waitFor(alert.alertId)
    await following.stop()
    const line = following.stdout.split('\n').find(text => text.includes(alert.alertId))
    expect(line).toMatch(/^\S+Z {2}WARN {6}FILE {5}web-1 +a\\u001b\[31mb /)
    expect(following.stdout).toMatch(/^RECEIVED {21}SEVERITY {2}TYPE {5}HOST /)
  })

  it.each([
    [['--follow', '--limit', '7'], '--follow'],
    [['--follow', '--cursor', 'x'], '--follow'],
    [['--follow', '--after', 'nonsense'], 'options.after'],
    [['--after', '-1h'], '--after'],
  ])('refuses %j', async (argv, named) => {
    const { exitCode, stderr } = await runCli(database.connectionString, ['alerts', ...argv])
    expect(exitCode).toBe(EXIT_CODE.usage)
    expect(stderr).toContain(named)
  })
})
