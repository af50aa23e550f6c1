import { afterEach, beforeAll, expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import { describeSchema } from '../migrate/fixtures.ts'
import { newAlerts, newHost, openStore } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('empty', 2)
const { direct } = pooled

describeUnless(pgbouncerMissing(), 'F43: another schema through PgBouncer', () => {
  // A pooler does not pass on the options of a connection string, so the database has to name the schema.
  beforeAll(async () => {
    await direct.sql('CREATE SCHEMA other')
    await direct.sql(`ALTER DATABASE ${direct.name} SET search_path = other`)
  })
  afterEach(() => expectNothingLeft(pooled))

  it('is migrated and used when the database names it', async () => {
    await migrateUp(pooled.through)
    await using store = await openStore(pooled.through)
    const hostId = await newHost(store)
    const receipts = await store.insertAlerts(newAlerts(3, hostId, { receivedAt: '2025-06-15T00:00:00Z' }))
    expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['stored']))
    expect(await describeSchema(direct, 'public')).toEqual([])
    const months = await direct.sql(
      `SELECT FROM pg_inherits WHERE inhrelid = 'other.alerts_y2025m06'::regclass`,
    )
    expect(months).toHaveLength(1)
  })
})
