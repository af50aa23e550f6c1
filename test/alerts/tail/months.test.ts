import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newAlerts, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { Consumer } from './consumer.ts'

const database = useTestDatabase()

it('does not deliver a month that comes back from its archive, nor what left before it was read', async () => {
  const archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-tail-'))
  await using store = await openStore(database)
  const hostId = await newHost(store)
  const consumer = new Consumer({ filter: { hostId } })
  await consumer.start(store)
  const old = newAlerts(20, hostId, { receivedAt: '2024-01-05T12:00:00Z' })
  await store.insertAlerts(old)
  for (const { alertId } of old) await consumer.waitFor(alertId)
  await consumer.stop()

  const older = newAlerts(5, hostId, { receivedAt: '2024-02-05T12:00:00Z' })
  await store.insertAlerts(older)
  const { retired, failures } = await store.applyRetention({ keepMonths: 12, archiveDir })
  expect(failures).toEqual([])
  expect(retired.map(({ outcome }) => outcome)).toEqual(['dropped', 'dropped'])
  await consumer.start(store)
  for (const { manifest } of retired) await store.restorePartition(manifest ?? '')
  const marker = newAlerts(3, hostId, { receivedAt: '2024-01-05T12:00:00Z' })
  await store.insertAlerts(marker)
  for (const { alertId } of marker) await consumer.waitFor(alertId)
  await consumer.stop()
  expect([...consumer.delivered].sort()).toEqual([...old, ...marker].map(({ alertId }) => alertId).sort())
  await rm(archiveDir, { recursive: true, force: true })
})

it('does not deliver what was written to a month while it was detached', async () => {
  await using store = await openStore(database)
  const hostId = await newHost(store)
  await store.insertAlerts(newAlerts(1, hostId, { receivedAt: '2023-03-05T12:00:00Z' }))
  const consumer = new Consumer({ filter: { hostId } })
  await consumer.start(store)
  await consumer.stop()
  const [month] = await database.sql(
    `SELECT tableoid::regclass::text AS name FROM alerts WHERE host_id = '${hostId}'`,
  )
  const name = String(month?.['name'])
  await database.sql(`ALTER TABLE alerts DETACH PARTITION ${name}`)
  await database.sql(
    `INSERT INTO ${name} SELECT gen_random_uuid(), '${hostId}', now(), 'FILE', 'r', NULL, 'INFO', '2023-03-05T12:00:00Z'`,
  )
  await database.sql(
    `ALTER TABLE alerts ATTACH PARTITION ${name} FOR VALUES FROM ('2023-03-01T00:00:00Z') TO ('2023-04-01T00:00:00Z')`,
  )
  await consumer.start(store)
  const [marker] = newAlerts(1, hostId)
  if (marker) await store.insertAlerts([marker])
  await consumer.waitFor(marker?.alertId ?? '')
  await consumer.stop()
  expect(consumer.delivered).toEqual([marker?.alertId])
})
