import { describe, expect, it } from 'vitest'
import { type NewAlert, RawJson } from '../../src/index.ts'
import { countAlerts, newAlert, newAlerts, newHost } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { expectStoredOnce, openWatched } from './support.ts'

const database = useTestDatabase()
const UNKNOWN_HOST = '00000000-0000-0000-0000-0000000000dd'
const TOO_DEEP = '['.repeat(100_000) + ']'.repeat(100_000)
const INVALID = { reason: 'INVALID_INPUT', sqlState: null, column: null }

interface Kind {
  readonly what: string
  readonly members: object
  readonly letter: {
    readonly reason: string
    readonly sqlState: string | null
    readonly column: string | null
  }
  /** Text that must stand in the dead letter, byte for byte. */
  readonly kept: string
}

const refused = (sqlState: string) => ({ reason: 'QUERY_FAILED', sqlState, column: null })
const detail = (text: string) => ({ members: { eventDetail: RawJson.fromText(text) }, kept: text })

const KINDS: readonly Kind[] = [
  { what: 'NUL in JSON', ...detail('{"path":  "a\\u0000b"}'), letter: refused('22P05') },
  { what: 'half a surrogate pair in JSON', ...detail('{"path":  "\\uD800"}'), letter: refused('22P02') },
  { what: 'a number out of range', ...detail('{"n":  1e200000}'), letter: refused('22003') },
  { what: 'JSON that is too deep', ...detail(TOO_DEEP), letter: refused('54001') },
  {
    what: 'an unknown host',
    members: { hostId: UNKNOWN_HOST },
    kept: UNKNOWN_HOST,
    letter: { reason: 'UNKNOWN_HOST', sqlState: '23503', column: 'host_id' },
  },
  { what: 'a bad severity', members: { severity: 'FATAL' }, kept: '"FATAL"', letter: INVALID },
  {
    what: 'an invalid date',
    members: { timestamp: '2026-02-30T00:00:00Z' },
    kept: '2026-02-30',
    letter: INVALID,
  },
  {
    what: 'a rule name over its limit',
    members: { ruleName: 'é'.repeat(1001) },
    kept: 'é'.repeat(1001),
    letter: INVALID,
  },
]

/** Of what a caller without types hands in, only the database's own checks and the parser know that it is wrong. */
function spoil(alert: NewAlert, members: object): NewAlert {
  return Object.assign({}, alert, members)
}

describe('F02: seven of a thousand alerts', () => {
  it.each(KINDS)('with $what are dead letters, and 993 are stored', async ({ members, letter, kept }) => {
    const store = await openWatched(database)
    await database.sql('TRUNCATE alert_dead_letters')
    const hostId = await newHost(store.store)
    const isBad = (index: number) => index % 143 === 71
    const alerts = newAlerts(1000, hostId)
    const sent = alerts.map((alert, index) => (isBad(index) ? spoil(alert, members) : alert))
    const receipts = await store.insertAlerts(sent)

    const isParsed = letter.reason !== 'INVALID_INPUT'
    for (const [index, { alertId, outcome, error }] of receipts.entries()) {
      expect(outcome).toBe(isBad(index) ? 'rejected' : 'stored')
      expect(alertId).toBe(isBad(index) && !isParsed ? undefined : alerts[index]?.alertId)
      expect(error?.code).toBe(isBad(index) ? letter.reason : undefined)
    }
    expect(receipts).toHaveLength(1000)
    expect(store.check('inserted')).toMatchObject({
      accepted: 1000,
      stored: 993,
      deadLettered: 7,
      inFlight: 0,
    })
    expect(await countAlerts(database, hostId)).toBe(993)
    await expectStoredOnce(
      database,
      alerts.filter((_, index) => !isBad(index)),
    )
    const letters = await store.store.listDeadLetters()
    expect(letters.map(({ reason, sqlState, column }) => ({ reason, sqlState, column }))).toEqual(
      Array.from({ length: 7 }, () => letter),
    )
    // Too long, some of them, to be printed by an assertion.
    expect(letters.every(({ alertJson }) => alertJson.includes(kept))).toBe(true)
    const badIds = alerts.filter((_, index) => isBad(index)).map(alert => alert.alertId)
    expect(badIds.every(id => letters.some(({ alertJson }) => alertJson.includes(id)))).toBe(true)
    expect(letters.every(({ attempts }) => attempts === 1)).toBe(true)
  })

  it('of all kinds in one batch are found, each with its own reason', async () => {
    const store = await openWatched(database)
    await database.sql('TRUNCATE alert_dead_letters')
    const hostId = await newHost(store.store)
    const alerts = newAlerts(1000, hostId)
    const kindOf = (index: number) => (index % 100 === 50 ? KINDS[Math.floor(index / 100)] : undefined)
    const sent = alerts.map((alert, index) => spoil(alert, kindOf(index)?.members ?? {}))
    const receipts = await store.insertAlerts(sent)
    expect(receipts.map(({ error }) => error?.code)).toEqual(
      alerts.map((_, index) => kindOf(index)?.letter.reason),
    )
    expect(await countAlerts(database, hostId)).toBe(992)
    expect(store.check('inserted')).toMatchObject({ stored: 992, deadLettered: 8, inFlight: 0 })
  })

  it('are no more dead letters when they are sent again: the same ones, with one more attempt', async () => {
    const store = await openWatched(database)
    await database.sql('TRUNCATE alert_dead_letters')
    const hostId = await newHost(store.store)
    const bad = newAlert(hostId, { eventDetail: RawJson.fromText('"\\u0000"') })
    await store.insertAlerts([bad])
    await store.insertAlerts([bad, newAlert(hostId)])
    expect(await store.store.listDeadLetters()).toMatchObject([{ alertId: bad.alertId, attempts: 2 }])
  })
})
