import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { CHECKS } from '../../src/index.ts'
import { makeHealthy, monthAhead } from '../doctor/support.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, ['doctor', ...argv])
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

beforeAll(() => makeHealthy(database))

describe('doctor', () => {
  it('ends with 0 on a healthy database, and shows each check in a line', async () => {
    const { exitCode, stdout, stderr } = await run()
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^PostgreSQL 1[5-8]/)
    expect(lines[2]).toMatch(/^CHECK +STATUS +MESSAGE$/)
    expect(lines.slice(3).map(line => line.split(/ +/).slice(0, 2))).toEqual(
      Object.keys(CHECKS).map(name => [name, 'ok']),
    )
  })

  it('ends with 3 when it finds something, and says what it means and what mends it', async () => {
    await database.sql(
      `CREATE TABLE "by \u001b hand" PARTITION OF alerts FOR VALUES FROM ('2024-01-01Z') TO ('2024-02-01Z')`,
    )
    const { exitCode, stdout } = await run('--min-horizon-days', '120')
    expect(exitCode).toBe(3)
    expect(stdout).toMatch(
      /\n\nshort-horizon\n {2}there are partitions for \d+ days, until .*\n {4}tripwire-storage partitions ensure --months-ahead \d\n/,
    )
    expect(stdout).toContain('incomplete-partition: by \\u001b hand\n  by \\u001b hand was made by hand')
    expect(stdout).not.toContain('\u001b')
    await database.sql(`DROP TABLE "by \u001b hand"`)
  })

  it('shows SQL over several lines as it is to be run', async () => {
    await database.sql('CREATE TABLE rest PARTITION OF alerts DEFAULT')
    const { stdout } = await run()
    expect(stdout).toContain(
      '\n    ALTER TABLE alerts DETACH PARTITION "rest";\n    ALTER TABLE "rest" RENAME',
    )
    await database.sql('DROP TABLE rest')
  })

  it('ends with 1 when something could not be checked and nothing was found, with 3 when both', async () => {
    const nowhere = join(tmpdir(), 'there is no such spool')
    expect(await run('--spool-dir', nowhere)).toMatchObject({ exitCode: 1 })
    expect(await run('--spool-dir', nowhere, '--keep-months', '0')).toMatchObject({ exitCode: 3 })
    await database.sql('DROP TABLE alerts_y2026m02')
    expect(await run('--keep-months', '0')).toMatchObject({ exitCode: 0 })
  })

  it('ends with 1 when the server cannot be reached, and with 2 at a wrong number', async () => {
    const away = await runCli('postgres://nobody@127.0.0.1:1/none', ['doctor'])
    expect(away).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringContaining('CONNECTION_FAILED'),
    })
    for (const argv of [
      ['--keep-months', 'x'],
      ['--min-horizon-days', '-1'],
      ['--keep-months', '1201'],
    ]) {
      expect(await run(...argv)).toMatchObject({ exitCode: 2 })
    }
  })

  it('--json prints all of it as one object', async () => {
    await database.sql(`DROP TABLE ${monthAhead(2).name}`)
    const { exitCode, stdout } = await run('--json')
    expect(exitCode).toBe(3)
    const [diagnosis, ...more] = jsonLines(stdout)
    expect(more).toEqual([])
    expect(diagnosis).toMatchObject({
      checkedAt: expect.stringMatching(/Z$/),
      serverVersion: expect.any(String),
      checks: expect.arrayContaining([
        {
          name: 'missing-month',
          status: 'finding',
          message: expect.any(String),
          details: {},
          findings: [
            {
              name: 'missing-month',
              subject: monthAhead(2).month,
              message: expect.any(String),
              mend: 'tripwire-storage partitions ensure',
              details: { from: monthAhead(2).from, to: monthAhead(2).to },
            },
          ],
        },
      ]),
    })
  })

  it('works on a database that no store opens', async () => {
    await database.sql('UPDATE schema_migrations SET dirty = true')
    const { exitCode, stdout } = await run()
    expect(exitCode).toBe(3)
    expect(stdout).toContain('UPDATE schema_migrations SET dirty = false;')
    await database.sql('UPDATE schema_migrations SET dirty = false')
  })

  it('works without a database URL, on an own PostgreSQL', { timeout: 120_000 }, () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'tripwire-doctor-'))
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
    const env = { ...process.env, TRIPWIRE_DATABASE_URL: '' }
    const own = (...argv: string[]) =>
      spawnSync(process.execPath, [MAIN, ...argv, '--data-dir', dataDir], { encoding: 'utf8', env })
    expect(own('doctor')).toMatchObject({
      status: 3,
      stdout: expect.stringContaining('tripwire-storage migrate up'),
    })
    expect(own('migrate', 'up').status).toBe(0)
    expect(own('partitions', 'ensure').status).toBe(0)
    expect(own('doctor')).toMatchObject({ status: 0 })
  })
})
