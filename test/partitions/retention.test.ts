import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RetentionOptions, Store } from '../../src/index.ts'
import { openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  connectClient,
  contentOf,
  insertAlerts,
  insertHost,
  makeMonth,
  makeMonthByHand,
  monthFromNow,
  partitionNames,
  partitionOf,
} from './fixtures.ts'

const database = useTestDatabase()
let store: Store
let hostId: string
let archiveDir: string

beforeAll(async () => {
  store = await openStore(database)
  hostId = await insertHost(database)
  archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-archive-'))
  await database.sql('DROP TABLE alerts_y2026m02')
})
afterAll(async () => {
  await store.close()
  await rm(archiveDir, { recursive: true, force: true })
})
afterEach(async () => {
  await database.sql('DELETE FROM alert_partition_retirements; DELETE FROM restored_alert_partitions')
  const rows = await database.sql(
    `SELECT relname FROM pg_class WHERE relname ~ '^alerts_[y0-9]' AND relkind = 'r'`,
  )
  for (const { relname } of rows) await database.sql(`DROP TABLE ${relname}`)
  for (const name of await readdir(archiveDir)) await rm(join(archiveDir, name), { recursive: true })
})

const retirements = () =>
  database.sql(
    `SELECT partition_name, dropped_at IS NOT NULL AS dropped, cancelled_at IS NOT NULL AS cancelled FROM alert_partition_retirements ORDER BY started_at, partition_name`,
  )
const months = (...offsets: readonly number[]) => offsets.map(offset => partitionOf(monthFromNow(offset)))
async function make(...offsets: readonly number[]): Promise<void> {
  for (const offset of offsets) await makeMonth(database, monthFromNow(offset), hostId, 10)
}

describe('applyRetention', () => {
  it('archives, verifies and drops the months that are older than those to keep, and no other', async () => {
    await make(-4, -3, -2, -1, 0, 1)
    const expected = await contentOf(database, partitionOf(monthFromNow(-4)))
    const report = await store.applyRetention({ keepMonths: 2, archiveDir })
    expect(report.failures).toEqual([])
    expect(report.retired.map(({ partition, outcome, rows }) => [partition, outcome, rows])).toEqual(
      months(-4, -3).map(name => [name, 'dropped', 10]),
    )
    expect(await partitionNames(database)).toEqual(months(-2, -1, 0, 1))
    expect(await retirements()).toEqual(
      months(-4, -3).map(name => ({ partition_name: name, dropped: true, cancelled: false })),
    )
    const manifest = report.retired[0]?.manifest ?? ''
    const restored = await store.restorePartition(manifest)
    expect(restored).toMatchObject({ partition: partitionOf(monthFromNow(-4)), rows: 10 })
    expect(await contentOf(database, partitionOf(monthFromNow(-4)))).toEqual(expected)
  })

  it('leaves a restored month alone until it is told otherwise, and does not archive it again', async () => {
    await make(-5)
    const first = await store.applyRetention({ keepMonths: 1, archiveDir })
    await store.restorePartition(first.retired[0]?.manifest ?? '')
    expect((await store.applyRetention({ keepMonths: 1, archiveDir })).retired).toEqual([])
    const files = await readdir(archiveDir)
    const again = await store.applyRetention({ keepMonths: 1, archiveDir, includeRestored: true })
    expect(again.retired).toEqual(first.retired)
    expect(await readdir(archiveDir)).toEqual(files)
    expect(await database.sql('SELECT FROM restored_alert_partitions')).toEqual([])
  })

  it('detaches without an archive, and goes on from there when there is one', async () => {
    await make(-3)
    const detached = await store.applyRetention({ keepMonths: 1 })
    expect(detached.retired).toMatchObject([{ outcome: 'detached', rows: null, manifest: null }])
    expect((await store.applyRetention({ keepMonths: 1 })).retired).toEqual([])
    expect((await store.listPartitions()).map(({ partition, state }) => [partition, state])).toEqual([
      [partitionOf(monthFromNow(-3)), 'detached'],
    ])
    const dropped = await store.applyRetention({ keepMonths: 1, archiveDir })
    expect(dropped.retired).toMatchObject([{ outcome: 'dropped', rows: 10 }])
    expect(await store.listPartitions()).toEqual([])
  })

  it('keeps as many bytes as it is told to, counted from the newest, and always the present month', async () => {
    await make(-4, -3, -2, 0)
    const sizes = new Map((await store.listPartitions()).map(each => [each.partition, each.bytes]))
    const [third = '', second = '', first = '', present = ''] = months(-4, -3, -2, 0)
    const bytesOf = (...names: readonly string[]) =>
      names.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0)
    const due = async (options: RetentionOptions) =>
      (await store.planRetention(options)).map(({ partition }) => partition)
    expect(await due({ keepBytes: bytesOf(third, second, first, present) })).toEqual([])
    expect(await due({ keepBytes: bytesOf(third, second, first, present) - 1 })).toEqual([third])
    expect(await due({ keepBytes: bytesOf(first, present) })).toEqual([third, second])
    expect(await due({ keepBytes: 0 })).toEqual([third, second, first])
    expect(await due({ keepBytes: bytesOf(third, second, first, present), keepMonths: 3 })).toEqual([third])
    expect(await partitionNames(database)).toEqual([third, second, first, present])
    expect(await retirements()).toEqual([])
  })

  it('takes months that were made by hand under another name, and passes over bounds that are no month', async () => {
    await makeMonthByHand(database, '2020-03', 'alerts_2020_03')
    await insertAlerts(database, '2020-03', hostId, 3)
    await database.sql(
      `CREATE TABLE alerts_2019 PARTITION OF alerts FOR VALUES FROM ('2019-01-01Z') TO ('2020-01-01Z')`,
    )
    const { retired, failures } = await store.applyRetention({ keepMonths: 12, archiveDir })
    expect(failures).toEqual([])
    expect(retired).toMatchObject([{ partition: 'alerts_2020_03', outcome: 'dropped', rows: 3 }])
    expect(await partitionNames(database)).toEqual(['alerts_2019'])
    expect(await store.restorePartition(retired[0]?.manifest ?? '')).toMatchObject({ rows: 3 })
  })

  it('does not touch a table that an operator detached', async () => {
    await make(-3)
    const [name = ''] = months(-3)
    await database.sql(`ALTER TABLE alerts DETACH PARTITION ${name}`)
    expect((await store.applyRetention({ keepMonths: 0, archiveDir })).retired).toEqual([])
    expect(await contentOf(database, name)).toMatchObject({ rows: 10 })
  })

  it('forgets a month that an operator attached again, and takes it anew when it is due', async () => {
    await make(-3)
    const [name = ''] = months(-3)
    await store.applyRetention({ keepMonths: 0 })
    await database.sql(
      `ALTER TABLE alerts ATTACH PARTITION ${name} FOR VALUES FROM ('${monthFromNow(-3)}-01Z') TO ('${monthFromNow(-2)}-01Z')`,
    )
    expect((await store.applyRetention({ keepMonths: 12, archiveDir })).retired).toEqual([])
    expect(await retirements()).toEqual([{ partition_name: name, dropped: false, cancelled: true }])
    expect((await store.applyRetention({ keepMonths: 0, archiveDir })).retired).toMatchObject([
      { outcome: 'dropped' },
    ])
  })

  it.each([
    ['nothing to go by', {}, 'options.keepMonths'],
    ['a negative number', { keepMonths: -1 }, 'options.keepMonths'],
    ['a fraction', { keepMonths: 1.5 }, 'options.keepMonths'],
    ['text for bytes', { keepBytes: '5GB' }, 'options.keepBytes'],
    ['an empty folder name', { keepMonths: 1, archiveDir: '' }, 'options.archiveDir'],
    ['an unknown option', { keepMonth: 1 }, 'options.keepMonth'],
  ])('refuses %s', async (_, options, field) => {
    const error = await rejection(store.applyRetention(options as RetentionOptions))
    expect(error).toMatchObject({ field })
  })
})

describe('F20: a month that cannot be retired', () => {
  it('does not stop the others, and is said', async () => {
    await make(-4, -3)
    const [blocked = '', other = ''] = months(-4, -3)
    await using holder = await connectClient(database.directConnectionString)
    await holder.query('BEGIN')
    await store.applyRetention({ keepMonths: 3 })
    await holder.query(`LOCK TABLE ${blocked} IN ACCESS SHARE MODE`)
    const report = await store.applyRetention({ keepMonths: 1, archiveDir })
    expect(report.retired.map(({ partition }) => partition)).toEqual([other])
    expect(report.failures).toMatchObject([
      { action: 'retire', partition: blocked, error: { code: 'QUERY_FAILED', sqlState: '55P03' } },
    ])
    await holder.query('ROLLBACK')
    expect((await store.applyRetention({ keepMonths: 1, archiveDir })).retired).toMatchObject([
      { partition: blocked, outcome: 'dropped' },
    ])
  })

  it('because there is a DEFAULT partition is said with what helps, and stays attached', async () => {
    await make(-3)
    await database.sql('CREATE TABLE alerts_9 PARTITION OF alerts DEFAULT')
    const report = await store.applyRetention({ keepMonths: 1, archiveDir })
    expect(report.failures).toMatchObject([
      { action: 'retire', error: { sqlState: '55000', hint: expect.stringContaining('DEFAULT partition') } },
    ])
    expect(await partitionNames(database)).toEqual(['alerts_9', partitionOf(monthFromNow(-3))])
    await database.sql('DROP TABLE alerts_9')
    expect((await store.applyRetention({ keepMonths: 1, archiveDir })).retired).toHaveLength(1)
  })

  it('because its archive cannot be written stays a partition, and its alerts in every query', async () => {
    await make(-3)
    const [name = ''] = months(-3)
    const report = await store.applyRetention({ keepMonths: 1, archiveDir: join(archiveDir, 'absent') })
    expect(report.failures).toMatchObject([{ partition: name, error: { code: 'ARCHIVE_FAILED' } }])
    expect(await partitionNames(database)).toEqual([name])
    expect(await retirements()).toEqual([])
    expect(existsSync(join(archiveDir, 'absent'))).toBe(false)
  })
})

describe('F26: a retention that is cut', () => {
  it('after a row was written into the detached table archives it again, and drops nothing before', async () => {
    await make(-3)
    const [name = ''] = months(-3)
    const { retired } = await store.applyRetention({ keepMonths: 0 })
    expect(retired).toHaveLength(1)
    await database.sql(`UPDATE ${name} SET rule_name = 'changed' WHERE rule_name = 'rule-1'`)
    const expected = await contentOf(database, name)
    const dropped = await store.applyRetention({ keepMonths: 0, archiveDir })
    await store.restorePartition(dropped.retired[0]?.manifest ?? '')
    expect(await contentOf(database, name)).toEqual(expected)
  })
})
