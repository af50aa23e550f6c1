import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NewAlert, Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { countAlerts, newAlert, newAlerts, newHost, openStore, rejection } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

describe('insertAlerts', () => {
  it('answers for each alert, in the order given: stored, duplicate or rejected', async () => {
    const hostId = await newHost(store)
    const [first, second, third] = newAlerts(3, hostId)
    if (!first || !second || !third) throw new Error('expected three alerts')
    await store.insertAlerts([second])
    const invalid = { ...newAlert(hostId), severity: 'CRITCAL' } as unknown as NewAlert
    const receipts = await store.insertAlerts([first, second, invalid, third, third])
    expect(receipts).toEqual([
      { alertId: first.alertId, outcome: 'stored' },
      { alertId: second.alertId, outcome: 'duplicate' },
      {
        alertId: undefined,
        outcome: 'rejected',
        error: expect.objectContaining({ code: 'INVALID_INPUT', field: 'alerts[2].severity' }),
      },
      { alertId: third.alertId, outcome: 'stored' },
      { alertId: third.alertId, outcome: 'duplicate' },
    ])
    expect(await countAlerts(database, hostId)).toBe(3)
  })

  it('returns when the alerts are durable, past what is buffered', async () => {
    await using own = await openStore(database)
    const hostId = await newHost(own)
    await own.batchInsertAlerts(newAlert(hostId))
    await own.insertAlerts(newAlerts(2, hostId))
    expect(await countAlerts(database, hostId)).toBe(2)
    expect(own.stats()).toMatchObject({ accepted: 3, stored: 2, inFlight: 1 })
  })

  it('gives the id that it made for an alert without one', async () => {
    const hostId = await newHost(store)
    const { alertId: _, ...alert } = newAlert(hostId)
    const receipts = await store.insertAlerts([alert, alert])
    const rows = await database.sql(`SELECT alert_id FROM alerts WHERE host_id = '${hostId}'`)
    expect(receipts.map(receipt => receipt.alertId).sort()).toEqual(rows.map(row => row['alert_id']).sort())
    expect(new Set(receipts.map(receipt => receipt.alertId)).size).toBe(2)
  })

  it('takes an empty list', async () => {
    expect(await store.insertAlerts([])).toEqual([])
  })

  it.each([
    ['one alert instead of a list', {}],
    ['null', null],
    ['text', 'abc'],
  ])('refuses %s', async (_, given) => {
    const error = await rejection(store.insertAlerts(given as unknown as readonly NewAlert[]))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', field: 'alerts', value: given })
  })

  it('takes the same id on another host for another alert', async () => {
    const alert = newAlert(await newHost(store))
    const twin = { ...alert, hostId: await newHost(store) }
    const receipts = await store.insertAlerts([alert, twin])
    expect(receipts.map(receipt => receipt.outcome)).toEqual(['stored', 'stored'])
  })

  it('takes an id in capitals for the same id', async () => {
    const alert = newAlert(await newHost(store))
    const receipts = await store.insertAlerts([alert, { ...alert, alertId: alert.alertId.toUpperCase() }])
    expect(receipts).toEqual([
      { alertId: alert.alertId, outcome: 'stored' },
      { alertId: alert.alertId, outcome: 'duplicate' },
    ])
  })
})
