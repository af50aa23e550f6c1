import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { checkOf, examine, expectFoundAndMended, makeHealthy, monthAhead, problemsOf } from './support.ts'

const database = useTestDatabase()
beforeEach(() => makeHealthy(database))

describe('F23: maintenance', () => {
  it('finds that it never succeeded', async () => {
    await database.sql('DELETE FROM maintenance_tasks')
    const found = await expectFoundAndMended(database, ['maintenance: null'])
    expect(checkOf(found, 'maintenance').message).toBe('it has never succeeded')
  })

  it('finds that it has not succeeded for a day, whatever else was tried', async () => {
    await database.sql(`
      UPDATE maintenance_tasks
      SET last_success_at = now() - INTERVAL '25 hours'`)
    const found = await expectFoundAndMended(database, ['maintenance: null'])
    expect(checkOf(found, 'maintenance').findings[0]?.message).toContain('25 hours ago')
  })

  it('is content with a scheduler, and with a store', async () => {
    await database.sql('DELETE FROM maintenance_tasks; SELECT * FROM ensure_alert_partitions()')
    expect(checkOf(await examine(database), 'maintenance').message).toMatch(/^ensure_partitions succeeded/)
    await database.sql(`DELETE FROM maintenance_tasks`)
    {
      await using store = await openStore(database)
      await store.runMaintenance()
    }
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('finds the error of the last run, until a run succeeds', async () => {
    const blocked = monthAhead(2).name
    await database.sql(`
      ALTER TABLE alerts DETACH PARTITION ${blocked};
      SELECT * FROM ensure_alert_partitions(3)`)
    const found = await examine(database)
    expect(problemsOf(found)).toEqual([
      `missing-month: ${monthAhead(2).month}`,
      `table-in-the-way: ${blocked}`,
      'maintenance: ensure_partitions',
    ])
    expect(checkOf(found, 'maintenance').findings[0]).toMatchObject({
      message: expect.stringContaining(`a table ${blocked} exists, but is no partition of alerts`),
      mend: 'tripwire-storage partitions ensure',
    })
    await database.sql(`DROP TABLE ${blocked}`)
    await expectFoundAndMended(database, [
      `missing-month: ${monthAhead(2).month}`,
      'maintenance: ensure_partitions',
    ])
  })

  it("finds the error of a store's run and of a retention", async () => {
    await database.sql(`
      SELECT record_maintenance('maintenance', 'alerts: it went wrong', '{"monthsAhead": 3}');
      SELECT record_maintenance('retention', 'alerts_y2020m01: it went wrong', '{"keepMonths": 600}')`)
    const found = await examine(database)
    expect(problemsOf(found)).toEqual(['maintenance: maintenance', 'maintenance: retention'])
    const [ofStore, ofRetention] = checkOf(found, 'maintenance').findings
    expect(ofStore?.mend).toMatch(/^store\.runMaintenance\(\)/)
    {
      await using store = await openStore(database)
      await store.runMaintenance()
    }
    expect(ofRetention?.mend).toBe('tripwire-storage partitions retain --keep-months 600')
    await expectFoundAndMended(database, ['maintenance: retention'])
  })
})

describe('clock-skew', () => {
  afterEach(() => void vi.restoreAllMocks())

  /** A clock that is wrong, and goes on. */
  function setClockOff(offMs: number): void {
    const rightNow = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => rightNow() + offMs)
  }

  it.each([
    [60_000, 'ahead of'],
    [-3_600_000, 'behind'],
  ])('finds that the clock of this machine is off by %i ms', async (offMs, direction) => {
    setClockOff(offMs)
    const check = checkOf(await examine(database), 'clock-skew')
    expect(check).toMatchObject({ status: 'finding', message: expect.stringContaining(direction) })
    expect(Math.abs(Number(check.details['aheadMs']) - offMs)).toBeLessThan(4000)
    vi.restoreAllMocks()
    expect(checkOf(await examine(database), 'clock-skew').status).toBe('ok')
  })

  it('is no finding within five seconds', async () => {
    setClockOff(2000)
    expect(checkOf(await examine(database), 'clock-skew').status).toBe('ok')
  })
})
