import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Store } from '../../src/index.ts'
import { newAlert, newHost } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
const ROLE = `tripwire_writer_${process.pid}`
let hostId: string

beforeAll(async () => {
  await using store = await Store.open({ connectionString: database.connectionString })
  hostId = await newHost(store)
})
afterAll(() => database.sql(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`))

/** Good alerts on both sides of one whose month cannot be made. */
async function insertAround(connectionString: string, receivedAt: string): Promise<readonly string[]> {
  await using store = await Store.open({ connectionString })
  const alerts = [newAlert(hostId), newAlert(hostId, { receivedAt }), newAlert(hostId)]
  const receipts = await store.insertAlerts(alerts)
  for (const alert of [newAlert(hostId), newAlert(hostId, { receivedAt }), newAlert(hostId)]) {
    await store.batchInsertAlerts(alert)
  }
  await store.flush()
  expect(store.stats()).toMatchObject({ stored: 4, deadLettered: 2, inFlight: 0 })
  return receipts.map(receipt => receipt.outcome)
}

describe('F02: an alert of a month that cannot be made does not take the others down', () => {
  it('because a detached table stands in the way', async () => {
    await database.sql('CREATE TABLE alerts_y2025m01 (LIKE alerts)')
    expect(await insertAround(database.connectionString, '2025-01-10T00:00:00Z')).toEqual([
      'stored',
      'rejected',
      'stored',
    ])
  })

  it('because the role may not make partitions', async () => {
    await database.sql(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'writer'`)
    await database.sql(
      `GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO ${ROLE}; GRANT UPDATE ON alert_dead_letters TO ${ROLE}`,
    )
    const url = new URL(database.connectionString)
    url.username = ROLE
    url.password = 'writer'
    expect(await insertAround(url.toString(), '2024-01-10T00:00:00Z')).toEqual([
      'stored',
      'rejected',
      'stored',
    ])
    expect(await database.sql(`SELECT to_regclass('alerts_y2024m01') IS NULL AS absent`)).toEqual([
      { absent: true },
    ])
  })
})
