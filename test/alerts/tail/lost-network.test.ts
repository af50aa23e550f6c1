import { expect, it } from 'vitest'
import { newAlert, newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { startWireProxy } from '../../support/wire-proxy.ts'

const database = useTestDatabase()

it('F41: a tail goes on after a network that swallowed everything, and after a server that was not there', {
  timeout: 60_000,
}, async () => {
  await using proxy = await startWireProxy({ target: database.connectionString })
  await using writer = await openStore(database)
  await using store = await openStore(proxy, { connectTimeoutMs: 1000 })
  const hostId = await newHost(writer)
  const errors: unknown[] = []
  await using tail = store.tailAlerts({
    filter: { hostId },
    pollIntervalMs: 10,
    timeoutMs: 300,
    onRetry: error => errors.push(error),
  })
  await tail.started()
  const alerts = [1, 2, 3].map(() => newAlert(hostId))
  const [first, second, third] = alerts
  if (!first || !second || !third) throw new Error('three alerts were made')
  await writer.insertAlerts([first])
  expect((await tail.next()).value?.alert.alertId).toBe(first.alertId)

  const waiting = tail.next()
  proxy.freezeAll()
  await writer.insertAlerts([second])
  await expect.poll(() => errors, { timeout: 20_000 }).not.toEqual([])
  expect(errors[0]).toMatchObject({ code: 'TIMEOUT' })
  proxy.thaw()
  expect((await waiting).value?.alert.alertId).toBe(second.alertId)

  errors.length = 0
  const later = tail.next()
  proxy.refuse({ cut: true })
  await writer.insertAlerts([third])
  await expect.poll(() => errors, { timeout: 20_000 }).not.toEqual([])
  await proxy.accept()
  expect((await later).value?.alert.alertId).toBe(third.alertId)
})
