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
