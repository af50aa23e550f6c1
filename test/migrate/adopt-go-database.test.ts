import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus } from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  ENTITY_EXTRAS,
  GO_EXTRAS,
  GO_TABLES,
  GO_TABLES_WITH_ENTITY,
  makeDatabase,
  RECORD_VERSION_4,
  rememberRows,
} from './databases-from-elsewhere.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const fresh = useTestDatabase()
const { connectionString } = database
beforeEach(() => emptySchema(database))
beforeAll(() =>
  fresh.sql(`SELECT ensure_alert_partition('2026-03-05Z'), ensure_alert_partition('2026-04-05Z')`),
)

const sorted = (items: readonly string[]) => [...items].sort()
const schemaWith = async (extras: readonly string[]) => sorted([...(await describeSchema(fresh)), ...extras])

describe('a database of the Go version', () => {
  it.each([
    ['recorded by golang-migrate', [...GO_TABLES, RECORD_VERSION_4], GO_EXTRAS, false],
    ['with the record lost', GO_TABLES, GO_EXTRAS, true],
    [
      'with an empty record',
      [...GO_TABLES, `${RECORD_VERSION_4} DELETE FROM schema_migrations`],
      GO_EXTRAS,
      true,
    ],
    [
      'whose audit entries know their entity',
      [...GO_TABLES_WITH_ENTITY, RECORD_VERSION_4],
      [...GO_EXTRAS, ...ENTITY_EXTRAS],
      false,
    ],
  ])('%s gets our schema and keeps its rows', async (_, tables, extras, isAdopted) => {
    await makeDatabase(database, tables)
    const rows = await rememberRows(database)
    expect(rows.atFirst.length).toBeGreaterThan(2000)

    const applied = await migrateUp({ connectionString })
    const newest = await newestVersion()
    const versions = Array.from({ length: newest }, (_, index) => index + 1)
    expect(applied.map(each => each.version)).toEqual(isAdopted ? versions : versions.slice(4))
    expect(applied.filter(each => each.wasAdopted)).toHaveLength(isAdopted ? 4 : 0)
    expect(applied.flatMap(each => each.warnings)).toEqual([])

    expect(await rows.now()).toEqual(rows.atFirst)
    expect(sorted(await describeSchema(database))).toEqual(await schemaWith(extras))
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: newest, unrecorded: null })
    expect(await migrateUp({ connectionString })).toEqual([])
  })

  it('serves a store, which finds its alerts and refuses them a second time', async () => {
    await makeDatabase(database, [...GO_TABLES, RECORD_VERSION_4])
    await migrateUp({ connectionString })
    await using store = await openStore(database)
    const { alerts } = await store.queryAlerts({
      from: '2026-02-27T00:00:00Z',
      to: '2026-03-05T00:00:00Z',
      severity: 'CRITICAL',
    })
    const [alert] = alerts
    if (!alert) throw new Error('no alert was found')
    const resent = await store.insertAlerts([alert, { ...alert, alertId: randomUUID() }])
    expect(resent.map(receipt => receipt.outcome)).toEqual(['duplicate', 'stored'])
  })

  it('goes back to version 4 and up again with its rows', async () => {
    await makeDatabase(database, [...GO_TABLES, RECORD_VERSION_4])
    const rows = await rememberRows(database)
    await migrateUp({ connectionString })
    await migrateDown({ connectionString, steps: (await newestVersion()) - 4 })
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(await describeSchema(database)).toContain(
      'constraint alerts alerts_pkey PRIMARY KEY (alert_id, received_at)',
    )
    await migrateUp({ connectionString })
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(sorted(await describeSchema(database))).toEqual(await schemaWith(GO_EXTRAS))
  })
})
