import { expect, it } from 'vitest'
import { AlertCounters } from '../../src/alerts/ingest/alert-counters.ts'
import { type DrainableSpool, SpoolDrain } from '../../src/alerts/ingest/spool-drain.ts'
import { alertNumbers } from '../spool/support.ts'

/** A spool in memory, whose damage is found at any moment. */
function memorySpool(count: number) {
  const entries = alertNumbers(0, count).map((alert, index) => ({ sequence: index + 1, alert }))
  let damaged = 0
  const spool: DrainableSpool = {
    get size() {
      return { alerts: entries.length, damaged }
    },
    readOldest: maxAlerts => ({ entries: entries.slice(0, maxAlerts) }),
    remove: sequences => void entries.splice(0, sequences.length),
  }
  const damage = () => {
    entries.pop()
    damaged++
  }
  return { spool, damage }
}

it('F07: damage that the spool finds at any moment leaves the counts in agreement with what is in it', async () => {
  const { spool, damage } = memorySpool(5)
  const counters = new AlertCounters()
  counters.addSpooled(5)
  const stored: number[] = []
  const drained = Promise.withResolvers<void>()
  const drain = new SpoolDrain(spool, {
    counters,
    store: async alerts => {
      stored.push(alerts.length)
      return alerts.map(() => ({ kind: 'stored' }))
    },
    onBack: () => drained.resolve(),
    onBatchFailed: () => undefined,
    onFailed: drained.reject,
  })
  damage()
  drain.start()
  await drained.promise
  await drain.stop()
  expect(stored).toEqual([4])
  expect(counters.snapshot()).toMatchObject({ accepted: 4, stored: 4, spooled: 0, inFlight: 0, rejected: 1 })
})
