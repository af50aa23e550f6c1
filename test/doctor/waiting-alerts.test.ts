import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Spool } from '../../src/spool/spool.ts'
import { alertNumbers, openSpool, overwrite, spoolFolder } from '../spool/support.ts'
import { newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, expectFoundAndMended, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase()
const OWNER = fileURLToPath(new URL('../spool/append-until-killed.fixture.ts', import.meta.url))
/** Of the alerts of the spool's tests. */
const HOST = '5f0c2f43-8a55-4a7f-9d4c-0a3a2b1c0d9e'

beforeAll(async () => {
  await makeHealthy(database)
  await database.sql(`INSERT INTO hosts (host_id, hostname) VALUES ('${HOST}', 'spooled')`)
})

describe('dead-letters', () => {
  it('are found by their reasons, and gone when their host is registered and they are handed in again', async () => {
    const unknown = '0d8e8e5c-0000-4000-8000-000000000001'
    await using store = await openStore(database)
    await store.insertAlerts(newAlerts(3, unknown))
    const found = await examine(database)
    expect(problemsOf(found)).toEqual(['dead-letters: UNKNOWN_HOST'])
    const [finding] = checkOf(found, 'dead-letters').findings
    expect(finding).toMatchObject({
      message: expect.stringMatching(/^3 alerts were refused .* the oldest at 20\d\d-/),
      details: { count: 3, isAtLeast: false, hostIds: [unknown] },
    })
    await carryOut(database, (finding?.mend ?? '').replace('NAME', 'web-9'))
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('of other reasons are to be looked at, and can be given up', async () => {
    await using store = await openStore(database)
    const [alert] = newAlerts(1, await newHost(store))
    if (!alert) throw new Error('no alert')
    await store.insertAlerts([alert])
    await store.insertAlerts([{ ...alert, ruleName: 'another' }])
    const found = await examine(database)
    expect(problemsOf(found)).toEqual(['dead-letters: ALERT_CONFLICT'])
    const lines = (checkOf(found, 'dead-letters').findings[0]?.mend ?? '').split('\n')
    expect(lines).toHaveLength(3)
    await carryOut(database, [lines[0], lines[2]].join('\n'))
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('are not all counted when there are very many', async () => {
    await database.sql(`
      INSERT INTO alert_dead_letters (alert_json, reason, message)
      SELECT convert_to(n::text, 'UTF8'), CASE WHEN n % 4 = 0 THEN 'INVALID_INPUT' ELSE 'QUERY_FAILED' END, 'm'
      FROM generate_series(1, 12000) AS n`)
    const check = checkOf(await examine(database), 'dead-letters')
    expect(check.message).toBe('more than 10,000 dead letters waiting')
    expect(check.findings.map(({ subject }) => subject)).toEqual(['INVALID_INPUT', 'QUERY_FAILED'])
    expect(check.findings[0]?.message).toMatch(/^at least \d,\d{3} alerts/)
    await database.sql('TRUNCATE alert_dead_letters')
  })
})

describe('spool', () => {
  it('finds alerts that nobody brings in, until a store does', async () => {
    const spoolDir = spoolFolder()
    const spool = openSpool(spoolDir)
    spool.append(alertNumbers(0, 20))
    const { bytes } = spool.size
    spool.close()
    const found = await examine(database, { spoolDir })
    expect(problemsOf(found)).toEqual([`spool: ${spoolDir}`])
    expect(checkOf(found, 'spool').findings[0]).toMatchObject({
      message: expect.stringContaining('nobody brings them in'),
      mend: expect.stringContaining(`spoolDir ${spoolDir}`),
      details: { alerts: 20, bytes, isInUse: false },
    })
    {
      await using store = await openStore(database, { spoolDir })
      await expect.poll(() => store.stats().spooled, { timeout: 20_000 }).toBe(0)
    }
    expect(problemsOf(await examine(database, { spoolDir }))).toEqual([])
  })

  it('finds what another process has spooled, and leaves that process its spool', async () => {
    const spoolDir = spoolFolder()
    const spool = openSpool(spoolDir)
    spool.append(alertNumbers(0, 7))
    spool.close()
    const owner = await startOwner(spoolDir)
    const found = checkOf(await examine(database, { spoolDir }), 'spool')
    expect(found).toMatchObject({
      status: 'finding',
      details: { alerts: 7, isInUse: true, holderPid: owner.pid },
    })
    expect(found.message).toContain(`process ${owner.pid} has it open`)
    expect(() => Spool.open({ folder: spoolDir })).toThrow(`process ${owner.pid} has the spool`)
  })

  it('tells what can be known of a spool that this process has', async () => {
    const spoolDir = spoolFolder()
    const spool = openSpool(spoolDir)
    const empty = checkOf(await examine(database, { spoolDir }), 'spool')
    expect(empty).toMatchObject({ status: 'unchecked', details: { isInUse: true, alerts: null } })
    expect(empty.message).toContain('this process has it open')
    for (let first = 0; first < 4000; first += 500) spool.append(alertNumbers(first, 500, 4000))
    expect(checkOf(await examine(database, { spoolDir }), 'spool')).toMatchObject({
      status: 'finding',
      findings: [{ message: expect.stringMatching(/^alerts in [\d,]{8,} bytes of files wait/) }],
    })
    spool.append(alertNumbers(4000, 1))
  })

  it('finds damage, and then the files that hold it, which can be put elsewhere', async () => {
    const spoolDir = spoolFolder()
    const spool = openSpool(spoolDir)
    spool.append(alertNumbers(0, 100))
    spool.close()
    const file = join(spoolDir, 'spool.db')
    overwrite(file, readFileSync(file).indexOf('rule 42'), Buffer.from('ruin'))
    const damaged = checkOf(await examine(database, { spoolDir }), 'spool')
    expect(damaged.findings).toMatchObject([{ message: expect.stringContaining('damaged') }])
    {
      await using store = await openStore(database, { spoolDir })
      await expect.poll(() => store.stats().spooled, { timeout: 20_000 }).toBe(0)
    }
    await expectFoundAndMended(database, [`spool: ${spoolDir}`], { spoolDir })
  })

  it('cannot be checked where there is none, or where the folder cannot be read', async () => {
    expect(checkOf(await examine(database, { spoolDir: spoolFolder() }), 'spool').status).toBe('unchecked')
    const other = checkOf(await examine(database, { spoolDir: join(OWNER, 'below a file') }), 'spool')
    expect(other).toMatchObject({ status: 'unchecked' })
  })
})

async function startOwner(folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', OWNER, folder, '0', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  if (child.stdout === null) throw new Error('the process has no output')
  await once(child.stdout, 'data')
  return child
}
