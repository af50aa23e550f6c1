import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../../src/embedded/index.ts'
import { migrateUp, type Store } from '../../../src/index.ts'
import { newAlerts, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { Consumer } from './consumer.ts'

const database = useTestDatabase()
const CHANNEL = 'tripwire_alerts'

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Stores alerts, and waits until a consumer got all of them. */
async function expectDelivery(store: Store, consumer: Consumer, hostId: string): Promise<void> {
  const alerts = newAlerts(5, hostId)
  const receipts = await store.insertAlerts(alerts)
  expect(receipts.map(({ outcome }) => outcome)).toEqual(alerts.map(() => 'stored'))
  for (const { alertId } of alerts) await consumer.waitFor(alertId)
}

describe('F42: notifications', () => {
  it('are sent after the commit, small and the same for any flush', async () => {
    await using store = await openStore(database)
    const hostId = await newHost(store)
    const listener = await connect(database.directConnectionString)
    const payloads: unknown[] = []
    const counts: Promise<unknown>[] = []
    listener.on('notification', ({ channel, payload }) => {
      payloads.push([channel, payload])
      counts.push(database.sql(`SELECT count(*)::int AS count FROM alerts WHERE host_id = '${hostId}'`))
    })
    await listener.query(`LISTEN ${CHANNEL}`)
    const eventDetail = { text: randomBytes(20_000).toString('hex') }
    await store.insertAlerts(newAlerts(200, hostId, { eventDetail }))
    await expect.poll(() => payloads.length).toBeGreaterThan(0)
    await listener.end()
    expect(new Set(payloads.map(payload => JSON.stringify(payload)))).toEqual(
      new Set([JSON.stringify([CHANNEL, ''])]),
    )
    expect((await Promise.all(counts)).at(-1)).toEqual([{ count: 200 }])
  })

  it('cost latency alone when nobody can listen: the tail looks by itself, and listens again', async () => {
    // Nobody listens through a pooler.
    await using store = await openStore({ connectionString: database.directConnectionString })
    const hostId = await newHost(store)
    const consumer = new Consumer({ filter: { hostId } })
    await consumer.start(store)
    const listening = `SELECT pid FROM pg_stat_activity WHERE datname = '${database.name}' AND query LIKE 'LISTEN%'`
    await expect.poll(() => database.sql(listening)).toHaveLength(1)
    const [first] = await database.sql(listening)
    await database.sql(`SELECT pg_terminate_backend(${first?.['pid']})`)
    await expectDelivery(store, consumer, hostId)
    await expect
      .poll(async () => (await database.sql(listening)).filter(row => row['pid'] !== first?.['pid']), {
        timeout: 20_000,
      })
      .toHaveLength(1)
    await expectDelivery(store, consumer, hostId)
    await consumer.stop()
  })

  it('may find the queue full: alerts are stored and delivered all the same', {
    timeout: 120_000,
  }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'tripwire-notify-'))
    // The smallest queue there is; a server of its own, because it cannot be changed while one runs.
    const server = await startEmbeddedPostgres({ dataDir, settings: { max_notify_queue_pages: '64' } })
    const { connectionString } = server
    const clients: pg.Client[] = []
    try {
      await migrateUp({ connectionString })
      await using store = await openStore({ connectionString })
      const hostId = await newHost(store)
      const consumer = new Consumer({ filter: { hostId } })
      await consumer.start(store)
      // It listens and never reads, because its transaction never ends.
      const deaf = await connect(connectionString)
      const loud = await connect(connectionString)
      clients.push(deaf, loud)
      await deaf.query('LISTEN other')
      await deaf.query('BEGIN')
      await deaf.query('SELECT pg_current_xact_id()')
      const filling = async () => {
        for (;;) await loud.query(`SELECT pg_notify('other', repeat('x', 7000))`)
      }
      expect(await rejection(filling())).toMatchObject({ code: '54000' })
      for (let round = 0; round < 3; round++) await expectDelivery(store, consumer, hostId)
      expect(await rejection(loud.query(`SELECT pg_notify('${CHANNEL}', '')`))).toMatchObject({
        code: '54000',
      })
      expect(store.stats()).toMatchObject({ stored: 15, failedFlushes: 0, retries: 0 })
      await consumer.stop()
    } finally {
      await Promise.all(clients.map(client => client.end()))
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})
