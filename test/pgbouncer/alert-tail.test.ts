import { afterEach, expect, it } from 'vitest'
import { Consumer } from '../alerts/tail/consumer.ts'
import { newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 3)

describeUnless(pgbouncerMissing(), 'F43: tails through PgBouncer', () => {
  afterEach(() => expectNothingLeft(pooled))

  it('deliver every alert once, and leave no channel that somebody else would listen to', async () => {
    await using store = await openStore(pooled.through)
    const hostId = await newHost(store)
    const consumers = [new Consumer({ filter: { hostId } }), new Consumer({ filter: { hostId } })]
    for (const consumer of consumers) await consumer.start(store)
    const given: string[] = []
    for (let round = 0; round < 20; round++) {
      const alerts = newAlerts(10, hostId)
      await store.insertAlerts(alerts)
      given.push(...alerts.map(({ alertId }) => alertId))
      if (round === 10) {
        await consumers[0]?.stop()
        await consumers[0]?.start(store)
      }
    }
    for (const consumer of consumers) {
      for (const alertId of given) await consumer.waitFor(alertId)
      await consumer.stop()
      expect([...consumer.delivered].sort()).toEqual([...given].sort())
    }
  })
})
