import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  carryOut,
  checkOf,
  examine,
  expectFoundAndMended,
  makeHealthy,
  monthAhead,
  problemsOf,
} from './support.ts'

const database = useTestDatabase()
let archiveDir: string

beforeAll(async () => {
  await makeHealthy(database)
  await database.sql('DROP TABLE alerts_y2026m02')
  archiveDir = await mkdtemp(join(tmpdir(), "tripwire it's "))
})
afterAll(() => rm(archiveDir, { recursive: true, force: true }))
afterEach(async () => {
  await database.sql(`DELETE FROM maintenance_tasks WHERE task = 'retention'`)
  await database.sql(`DROP TABLE IF EXISTS ${[-1, -2, -3].map(ago => monthAhead(ago).name).join(', ')}`)
  await database.sql('DELETE FROM alert_partition_retirements; DELETE FROM restored_alert_partitions')
})

const makeMonth = (months: number) =>
  database.sql(`SELECT ensure_alert_partition('${monthAhead(months).from}')`)

/** As the maintenance writes it down. */
const recordRetention = (settings: object, succeeded = 'now()') =>
  database.sql(`
    INSERT INTO maintenance_tasks (task, last_run_at, last_success_at, settings)
    VALUES ('retention', now(), ${succeeded}, '${JSON.stringify(settings).replaceAll("'", "''")}')`)

/** Whether a month became due less than a day ago, which is no lag yet. */
const isFirstDay = new Date().getUTCDate() === 1

describe('retention-lag', () => {
  it('finds months beyond keepMonths of the option, and takes them out', async () => {
    await makeMonth(-2)
    await makeMonth(-3)
    const due = [-3, -2].map(ago => `retention-lag: ${monthAhead(ago).name}`)
    expect(checkOf(await examine(database), 'retention-lag')).toMatchObject({
      status: 'ok',
      message: 'no retention is in force',
    })
    const found = await expectFoundAndMended(database, due, { keepMonths: 0 })
    expect(checkOf(found, 'retention-lag').findings[0]?.mend).toBe(
      'tripwire-storage partitions retain --keep-months 0',
    )
  })

  it('knows the rule that the retention was told last, and where its archives go', async () => {
    await recordRetention({ keepMonths: 1, archiveDir })
    for (const ago of [-1, -2, -3]) await makeMonth(ago)
    const due = isFirstDay ? [-3] : [-3, -2]
    await expectFoundAndMended(
      database,
      due.map(ago => `retention-lag: ${monthAhead(ago).name}`),
    )
    expect(await readdir(archiveDir)).toContain(`${monthAhead(-3).name}.manifest.json`)
    expect(await database.sql(`SELECT to_regclass('${monthAhead(-1).name}') IS NOT NULL AS kept`)).toEqual([
      { kept: true },
    ])
  })

  it('leaves alone what was restored, and what is on its way out', async () => {
    await makeMonth(-3)
    await database.sql(`
      INSERT INTO restored_alert_partitions (partition_name, content_sha256) VALUES ('${monthAhead(-3).name}', '')`)
    expect(problemsOf(await examine(database, { keepMonths: 0 }))).toEqual([])
  })

  it('knows the rule by size, and gives the retention a day', async () => {
    await makeMonth(-2)
    await recordRetention({ keepBytes: 1 })
    expect(problemsOf(await examine(database))).toEqual([])
    await database.sql(
      `UPDATE maintenance_tasks SET last_success_at = now() - INTERVAL '25 hours' WHERE task = 'retention'`,
    )
    await expectFoundAndMended(database, [`retention-lag: ${monthAhead(-2).name}`])
  })

  it('says that it cannot know when what is written down is no rule', async () => {
    await recordRetention({ keepMonths: 'twelve' })
    expect(checkOf(await examine(database), 'retention-lag')).toMatchObject({
      status: 'unchecked',
      message: expect.stringContaining('keepMonths'),
    })
  })
})

describe('F26: unfinished-retirement', () => {
  const openRetirement = (months: number, started: string) =>
    database.sql(`
      INSERT INTO alert_partition_retirements (partition_name, range_from, range_to, started_at)
      VALUES ('${monthAhead(months).name}', '${monthAhead(months).from}', '${monthAhead(months).to}', ${started})`)
  const detach = (months: number) =>
    database.sql(`ALTER TABLE alerts DETACH PARTITION ${monthAhead(months).name}`)

  it('finds a month that was detached for its archive, and never came into it', async () => {
    await recordRetention({ keepMonths: 0, archiveDir })
    await makeMonth(-2)
    await openRetirement(-2, `now() - INTERVAL '25 hours'`)
    await detach(-2)
    await expectFoundAndMended(database, [`unfinished-retirement: ${monthAhead(-2).name}`])
    expect(existsSync(join(archiveDir, `${monthAhead(-2).name}.manifest.json`))).toBe(true)
  })

  it('gives it a day', async () => {
    await recordRetention({ keepMonths: 0, archiveDir })
    await makeMonth(-2)
    await openRetirement(-2, `now() - INTERVAL '23 hours'`)
    await detach(-2)
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('takes a detached month for what was asked for where there is no folder for archives', async () => {
    await recordRetention({ keepMonths: 0 })
    await makeMonth(-2)
    await openRetirement(-2, `now() - INTERVAL '60 days'`)
    await detach(-2)
    const found = await examine(database)
    expect(problemsOf(found)).toEqual([])
    expect(checkOf(found, 'unfinished-retirement').message).toContain('1 month detached and kept')
  })

  it('finds a month whose table somebody dropped', async () => {
    await makeMonth(-2)
    await openRetirement(-2, 'now()')
    await database.sql(`DROP TABLE ${monthAhead(-2).name}`)
    await expectFoundAndMended(database, [`unfinished-retirement: ${monthAhead(-2).name}`])
  })

  it('finds a month that is a partition still, or again', async () => {
    await makeMonth(-2)
    await openRetirement(-2, `now() - INTERVAL '2 days'`)
    await expectFoundAndMended(database, [`unfinished-retirement: ${monthAhead(-2).name}`])
  })

  it('finds nothing after a retention that did its work', async () => {
    await makeMonth(-2)
    await using store = await Store.open({
      connectionString: database.connectionString,
      maintenanceIntervalMs: 0,
    })
    await store.applyRetention({ keepMonths: 0, archiveDir })
    await store.applyRetention({ keepMonths: 0 })
    expect(problemsOf(await examine(database))).toEqual([])
  })
})

it('the mend of a finding can be given to a shell, whatever the folder is called', async () => {
  await recordRetention({ keepMonths: 0, archiveDir })
  await makeMonth(-3)
  const [finding] = checkOf(await examine(database), 'retention-lag').findings
  expect(finding?.mend).toContain(`'\\''`)
  await carryOut(database, finding?.mend ?? '')
  expect(problemsOf(await examine(database))).toEqual([])
})
