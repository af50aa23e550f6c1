import { beforeAll, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus } from '../../src/index.ts'
import { newAlerts, newHost, openStore, rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { describeSchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const inSchema = (schema: string) => withSettings(database, { search_path: schema })
beforeAll(async () => {
  await database.sql('CREATE SCHEMA other')
})

describe('another schema, named by search_path in the connection string', () => {
  it('is migrated, used and undone, and public stays empty', async () => {
    const other = inSchema('other')
    await migrateUp(other)
    expect(await describeSchema(database)).toEqual([])
    expect((await describeSchema(database, 'other')).length).toBeGreaterThan(50)
    {
      await using store = await openStore(other)
      const hostId = await newHost(store)
      const receipts = await store.insertAlerts([
        ...newAlerts(2, hostId, { receivedAt: '2026-05-05T00:00:00Z' }),
        ...newAlerts(1, '00000000-0000-0000-0000-000000000009'),
      ])
      expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'stored', 'rejected'])
      const { alerts } = await store.queryAlerts({ from: '2026-05-01T00:00:00Z', to: '2026-06-01T00:00:00Z' })
      expect(alerts).toHaveLength(2)
    }
    expect(await database.sql(`SELECT to_regclass('other.alerts_y2026m05') IS NOT NULL AS made`)).toEqual([
      { made: true },
    ])
    // The functions work for a client with another search_path as well.
    await database.sql(`SELECT other.ensure_alert_partition('2026-06-05T00:00:00Z')`)
    expect(await database.sql(`SELECT to_regclass('other.alerts_y2026m06') IS NOT NULL AS made`)).toEqual([
      { made: true },
    ])
    await migrateDown({ ...other, steps: await newestVersion(), allowDataLoss: true })
    expect(await migrationStatus(other)).toMatchObject({ version: 0 })
  })

  it('is refused when it does not exist', async () => {
    expect(await rejection(migrateUp(inSchema('absent')))).toMatchObject({
      code: 'NOT_MIGRATED',
      hint: expect.stringContaining('CREATE SCHEMA'),
    })
  })
})
