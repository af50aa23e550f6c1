import pg from 'pg'
import { expect, it } from 'vitest'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft, findLeftovers } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('empty', 2)

describeUnless(pgbouncerMissing(), 'F43: state of a session in transaction mode', () => {
  it('reaches strangers, and is found by what the other tests look with', async () => {
    await expectNothingLeft(pooled)
    const careless = new pg.Client(pooled.through)
    await careless.connect()
    try {
      await careless.query('SET lock_timeout = 1234')
      await careless.query('PREPARE left_behind AS SELECT 1')
      await careless.query('CREATE TEMPORARY TABLE left_behind ()')
      await careless.query('SELECT pg_advisory_lock(43)')
      await careless.query('LISTEN left_behind')
    } finally {
      await careless.end()
    }
    const { advisoryLocks, temporaryTables, sessions } = await findLeftovers(pooled)
    const [session] = sessions
    expect(sessions).toEqual([
      {
        pid: session?.pid,
        changedSettings: ['lock_timeout'],
        preparedStatements: ['left_behind'],
        channels: ['left_behind'],
      },
    ])
    expect(temporaryTables).toEqual(['left_behind'])
    expect(advisoryLocks).toMatchObject([{ pid: session?.pid, granted: true }])
    await expect(expectNothingLeft(pooled)).rejects.toThrow()
  })
})
