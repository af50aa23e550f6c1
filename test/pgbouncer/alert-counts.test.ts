import { expect, it, vi } from 'vitest'
import { newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 3)

describeUnless(pgbouncerMissing(), 'alerts counted through PgBouncer in transaction mode', () => {
  it('F43 are exact, and two stores that count at once share the work', async () => {
    await using first = await openStore(pooled.through)
    await using second = await openStore(pooled.through)
    const hostId = await newHost(first)
    const span = { from: '2026-02-01T00:00:00Z', to: '2026-03-01T00:00:00Z' }
    await first.insertAlerts(newAlerts(50, hostId, { receivedAt: '2026-02-10T10:30:00Z' }))
    await vi.waitFor(
      async () => {
        const states = await Promise.all([first, second].map(store => store.rollUpAlertCounts()))
        expect(states.map(({ state }) => state)).toContain('done')
      },
      { timeout: 60_000, interval: 10 },
    )
    await second.insertAlerts(newAlerts(5, hostId, { receivedAt: '2026-02-10T10:45:00Z' }))
    for (const store of [first, second]) {
      expect(await store.alertTimeline({ ...span, bucket: 'month' })).toMatchObject([{ alerts: 55 }])
      expect(await store.topAlertHosts(span)).toEqual([{ hostId, alerts: 55 }])
      expect(await store.checkAlertCounts()).toMatchObject({ hours: 672, wrongHours: 0 })
    }
    await expectNothingLeft(pooled)
  })
})
