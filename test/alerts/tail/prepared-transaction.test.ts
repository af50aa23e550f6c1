import { expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../../src/embedded/index.ts'
import { migrateUp } from '../../../src/index.ts'
import { stopAfterTest, temporaryFolder } from '../../embedded/support.ts'
import { newAlert, newHost, openStore } from '../../store/fixtures.ts'
import { Consumer } from './consumer.ts'
import { EventOrder, WriterSession } from './writer-session.ts'

it('F41: a prepared transaction holds up nobody, and is delivered when it is committed by another session', {
  timeout: 120_000,
}, async () => {
  const settings = { fsync: 'off', max_prepared_transactions: '2' }
  const server = stopAfterTest(await startEmbeddedPostgres({ dataDir: temporaryFolder(), settings }))
  const { connectionString } = server
  await migrateUp({ connectionString })
  await using store = await openStore({ connectionString })
  const hostId = await newHost(store)
  await store.ensurePartitions()
  const consumer = new Consumer({ filter: { hostId } })
  await consumer.start(store)

  const writer = await WriterSession.connect(connectionString, hostId, new EventOrder())
  const prepared = newAlert(hostId)
  const insert = ({ alertId }: { readonly alertId: string }) =>
    `INSERT INTO alerts VALUES ('${alertId}', '${hostId}', now(), 'FILE', 'r', NULL, 'INFO', now())`
  await writer.sql(`BEGIN; ${insert(prepared)}; PREPARE TRANSACTION 'kept'`)
  await writer.sql(`BEGIN; ${insert(newAlert(hostId))}; PREPARE TRANSACTION 'dropped'`)
  await writer.close()

  const between = newAlert(hostId)
  await store.insertAlerts([between])
  await consumer.waitFor(between.alertId)
  await consumer.stop()
  const other = await WriterSession.connect(connectionString, hostId, new EventOrder())
  await other.sql(`COMMIT PREPARED 'kept'`)
  await other.sql(`ROLLBACK PREPARED 'dropped'`)
  await other.close()
  await consumer.start(store)
  await consumer.waitFor(prepared.alertId)
  await consumer.stop()
  expect(consumer.delivered).toEqual([between.alertId, prepared.alertId])
})
