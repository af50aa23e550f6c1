import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { RawJson } from '../../src/index.ts'
import { jsonLines, runCli } from '../cli/run-cli.ts'
import { newAlert, newAlerts, newHost } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { expectNotStored, expectStoredOnce, idsOf, openProxy, openWatched } from './support.ts'

const database = useTestDatabase()

/** A store, and dead letters of a host that is not registered yet. */
async function setUp(count = 5) {
  await database.sql('TRUNCATE alert_dead_letters')
  const store = await openWatched(database)
  const hostId = randomUUID()
  const alerts = newAlerts(count, hostId, { eventDetail: RawJson.fromText('{"n": 9007199254740993.10}') })
  await store.insertAlerts(alerts)
  const register = () => store.store.upsertHost({ hostId, hostname: `late-${hostId}` })
  return { store, hostId, alerts, register }
}

describe('redriveDeadLetters', () => {
  it('stores the alerts once their host is registered, and the dead letters are gone', async () => {
    const { store, hostId, alerts, register } = await setUp()
    await register()
    expect(await store.store.redriveDeadLetters({ hostId })).toEqual({ stored: 5, duplicate: 0, refused: 0 })
    await expectStoredOnce(database, alerts)
    expect(await store.store.listDeadLetters()).toEqual([])
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 0, duplicate: 0, refused: 0 })
  })

  it('keeps what is refused again, with one more attempt', async () => {
    const { store, alerts, register } = await setUp()
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 0, duplicate: 0, refused: 5 })
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 0, duplicate: 0, refused: 5 })
    const letters = await store.store.listDeadLetters()
    expect(letters.map(letter => [letter.attempts, letter.reason])).toEqual(
      alerts.map(() => [3, 'UNKNOWN_HOST']),
    )
    for (const letter of letters) expect(letter.lastAttemptAt >= letter.firstAttemptAt).toBe(true)
    await expectNotStored(database, alerts)
    await register()
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 5, duplicate: 0, refused: 0 })
  })

  it('counts as duplicates what was stored in between', async () => {
    const { store, alerts, register } = await setUp()
    await register()
    await store.insertAlerts(alerts.slice(0, 2))
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 3, duplicate: 2, refused: 0 })
    await expectStoredOnce(database, alerts)
  })

  it('four times at once stores each alert once, and leaves no dead letter', async () => {
    const { store, alerts, register } = await setUp(400)
    await register()
    const reports = await Promise.all(Array.from({ length: 4 }, () => store.store.redriveDeadLetters()))
    expect(reports.reduce((sum, { stored }) => sum + stored, 0)).toBe(400)
    expect(reports.every(({ refused }) => refused === 0)).toBe(true)
    await expectStoredOnce(database, alerts)
    expect(await store.store.listDeadLetters()).toEqual([])
  })

  it('four times at once of what is refused again counts four attempts', async () => {
    const { store } = await setUp(400)
    await Promise.all(Array.from({ length: 4 }, () => store.store.redriveDeadLetters()))
    const letters = await store.store.listDeadLetters({ limit: 1000 })
    expect(new Set(letters.map(({ attempts }) => attempts))).toEqual(new Set([5]))
    expect(letters).toHaveLength(400)
  })

  it('says which alert conflicts with what was stored in between, and keeps it', async () => {
    const { store, alerts, register } = await setUp(1)
    await register()
    const [alert] = alerts
    if (!alert) throw new Error('expected an alert')
    await store.insertAlerts([{ ...alert, ruleName: 'stored in between' }])
    expect(await store.store.redriveDeadLetters()).toEqual({ stored: 0, duplicate: 0, refused: 1 })
    expect(await store.store.listDeadLetters()).toMatchObject([
      { alertId: alert.alertId, message: expect.stringContaining('with other content') },
    ])
  })

  it.each([
    ['not applied', { when: { from: 'client', message: 'CopyDone' }, action: 'cut-before' }],
    [
      'applied',
      { when: { from: 'server', message: 'CommandComplete', text: /^COPY/ }, action: 'cut-before' },
    ],
    [
      'stored, and its dead letters not deleted',
      {
        when: { from: 'client', message: 'Parse', text: /DELETE FROM alert_dead_letters/ },
        action: 'cut-before',
      },
    ],
    [
      'stored, and its dead letters deleted',
      {
        when: { from: 'client', message: 'Parse', text: /DELETE FROM alert_dead_letters/ },
        action: 'cut-after',
      },
    ],
  ] as const)('F03: that is cut (%s) can be called again, and each alert is stored once', async (_, spec) => {
    const { hostId, alerts, register } = await setUp()
    await register()
    const proxy = await openProxy(database)
    const store = await openWatched(proxy)
    const fault = proxy.inject(spec)
    await expect(store.store.redriveDeadLetters({ hostId })).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    })
    await fault.settled
    await store.store.redriveDeadLetters({ hostId })
    await expectStoredOnce(database, alerts)
    expect(await store.store.listDeadLetters()).toEqual([])
  })
})

describe('listDeadLetters and discardDeadLetters', () => {
  it('take host, reason, ids and a limit, all of which must fit', async () => {
    const { store, hostId, alerts } = await setUp()
    const known = await newHost(store.store)
    const bad = newAlert(known, { eventDetail: RawJson.fromText('"\\u0000"') })
    await store.insertAlerts([bad])
    const list = async (filter: Parameters<typeof store.store.listDeadLetters>[0]) =>
      (await store.store.listDeadLetters(filter)).map(letter => letter.alertId)
    expect(await list({ hostId: known })).toEqual([bad.alertId])
    expect((await list({ reason: 'UNKNOWN_HOST' })).toSorted()).toEqual(idsOf(alerts).toSorted())
    expect(await list({ hostId, reason: 'QUERY_FAILED' })).toEqual([])
    expect(await list({ limit: 2 })).toHaveLength(2)
    const letters = await store.store.listDeadLetters({ reason: 'UNKNOWN_HOST' })
    const deadLetterIds = letters.slice(0, 2).map(letter => letter.deadLetterId)
    expect(await list({ deadLetterIds })).toHaveLength(2)
    expect(await list({ deadLetterIds: [] })).toEqual([])

    expect(await store.store.discardDeadLetters({ deadLetterIds, reason: 'QUERY_FAILED' })).toBe(0)
    expect(await store.store.discardDeadLetters({ deadLetterIds })).toBe(2)
    expect(await store.store.discardDeadLetters({ hostId, limit: 1 })).toBe(1)
    expect(await store.store.discardDeadLetters({ hostId })).toBe(2)
    expect(await list({})).toEqual([bad.alertId])
  })
})

describe('the command dead-letters', () => {
  it('lists, redrives and discards', async () => {
    const { alerts, register } = await setUp(3)
    const run = (...argv: string[]) => runCli(database.connectionString, ['dead-letters', ...argv])
    const listed = await run('list', '--json')
    expect(listed.exitCode).toBe(0)
    expect(jsonLines(listed.stdout).map(line => line['reason'])).toEqual(alerts.map(() => 'UNKNOWN_HOST'))
    const refused = await run('redrive')
    expect(refused).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('3 refused again') })
    await expectNotStored(database, alerts)
    await register()
    const redriven = await run('redrive')
    expect(redriven.exitCode).toBe(0)
    await expectStoredOnce(database, alerts)
    expect(jsonLines((await run('list', '--json')).stdout)).toEqual([])

    const unknown = newAlert(randomUUID())
    await (await openWatched(database)).insertAlerts([unknown])
    const [letter] = jsonLines((await run('list', '--json')).stdout)
    const discarded = await run('discard', String(letter?.['deadLetterId']))
    expect(discarded).toMatchObject({ exitCode: 0 })
    expect(jsonLines((await run('list', '--json')).stdout)).toEqual([])
  })
})
