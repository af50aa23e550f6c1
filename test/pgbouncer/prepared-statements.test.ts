import { expect, it } from 'vitest'
import { newHost, openStore } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 2)

describeUnless(pgbouncerMissing(), 'F43: statements that are repeated, through PgBouncer', () => {
  it('are not prepared: every call finds its row, and nothing is left', async () => {
    await using store = await openStore(pooled.through)
    const hostIds = await Promise.all(Array.from({ length: 8 }, () => newHost(store)))
    const found = await Promise.all(
      Array.from({ length: 400 }, (_, index) => store.getHost(hostIds[index % 8] ?? '')),
    )
    expect(found.map(host => host?.hostId)).toEqual(
      Array.from({ length: 400 }, (_, index) => hostIds[index % 8]),
    )
    await expectNothingLeft(pooled)
  })
})
