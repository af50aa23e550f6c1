import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlertTail, Store } from '../../../src/index.ts'
import { newAlert, newHost, openStore, rejection } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { EventOrder, WriterSession } from './writer-session.ts'

const database = useTestDatabase()
/** More than one look into the journal brings. */
const STATEMENTS = 205

let store: Store
beforeAll(async () => {
  store = await openStore(database)
  await store.ensurePartitions()
  // A copy of a database begins its journal anew, with the first tail.
  await database.sql('SELECT renew_alert_journal()')
})
afterAll(() => store.close())

async function now(): Promise<string> {
  const [row] = await database.sql(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  )
  return String(row?.['now'])
}

/** Sessions whose transactions have rising numbers, and have not written an alert yet. */
async function beginInOrder(hostId: string, count: number): Promise<readonly WriterSession[]> {
  const sessions: WriterSession[] = []
  for (let index = 0; index < count; index++) {
    const session = await WriterSession.connect(database.directConnectionString, hostId, new EventOrder())
    await session.begin()
    await session.sql('SELECT pg_current_xact_id()')
    sessions.push(session)
  }
  return sessions
}

async function writeManyStatements(session: WriterSession): Promise<void> {
  for (let statement = 0; statement < STATEMENTS; statement++) await session.insert(1, '0s')
  await session.commit()
}

const idsIn = (sessions: readonly WriterSession[]) =>
  sessions.flatMap(({ committed }) => committed.flatMap(({ alerts }) => alerts.map(({ alertId }) => alertId)))

async function takeUntil(tail: AlertTail, last: string): Promise<readonly string[]> {
  const ids: string[] = []
  while (ids.at(-1) !== last) {
    const { value } = await tail.next()
    if (value === undefined) throw new Error('the tail ended')
    ids.push(value.alert.alertId)
  }
  return ids
}

describe('F41: a tail that begins with a moment', () => {
  it.each(['the same tail', 'another one with its token'])(
    'delivers what was written before it and commits while %s catches up',
    async goesOn => {
      const hostId = await newHost(store)
      const sessions = await beginInOrder(hostId, 4)
      const [late, ...early] = sessions.toReversed()
      try {
        await late?.insert(3, '0s')
        const after = await now()
        for (const session of early) await writeManyStatements(session)
        const last = newAlert(hostId)
        await store.insertAlerts([last])

        const filter = { hostId }
        let tail = store.tailAlerts({ after, filter })
        const first = await tail.next()
        await late?.commit()
        if (goesOn !== 'the same tail') {
          await tail.close()
          tail = store.tailAlerts({ after: first.value?.resumeToken, filter })
        }
        const delivered = [first.value?.alert.alertId, ...(await takeUntil(tail, last.alertId))]
        await tail.close()
        expect(delivered.sort()).toEqual([...idsIn(sessions), last.alertId].sort())
      } finally {
        await Promise.all(sessions.map(session => session.close()))
      }
    },
  )

  it('is expired when the database is set back to an earlier moment while it catches up', async () => {
    const hostId = await newHost(store)
    const after = await now()
    const sessions = await beginInOrder(hostId, 2)
    try {
      for (const session of sessions) await writeManyStatements(session)
      await using tail = store.tailAlerts({ after, filter: { hostId } })
      for (let taken = 0; taken < STATEMENTS; taken++) await tail.next()
      // As after a failover to a standby that lacked the last commits.
      await database.sql(
        `DELETE FROM alert_journal WHERE xid = (SELECT xid FROM alert_journal WHERE written_at >= '${after}' ORDER BY xid LIMIT 1)`,
      )
      expect(await rejection(tail.next())).toMatchObject({
        code: 'TAIL_EXPIRED',
        message: expect.stringContaining('set back'),
      })
    } finally {
      await Promise.all(sessions.map(session => session.close()))
    }
  })
})
