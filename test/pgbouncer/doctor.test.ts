import { afterEach, expect, it } from 'vitest'
import { examine, makeHealthy, problemsOf } from '../doctor/support.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('migrated', 1)

describeUnless(pgbouncerMissing(), 'F43: the doctor, through PgBouncer in transaction mode', () => {
  afterEach(() => expectNothingLeft(pooled))

  it('finds what there is to find, and leaves no setting behind', async () => {
    await makeHealthy(pooled.direct)
    expect(problemsOf(await examine(pooled.through))).toEqual([])
    await pooled.direct.sql('CREATE TABLE rest PARTITION OF alerts DEFAULT')
    expect(problemsOf(await examine(pooled.through))).toEqual(['default-partition: rest'])
  })
})
