/** Any order of calls and faults, and the database as the judge of what was promised. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { AlertsNotStoredError, type NewAlert } from '../../src/index.ts'
import { spoolFolder } from '../spool/support.ts'
import { newAlert, newHost } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { Fault } from '../support/wire-proxy.ts'
import { COPY_FAULTS } from './copy-faults.ts'
import { expectStoredOnce, openProxy, openWatched, untilAtRest } from './support.ts'

const database = useTestDatabase()
const STEPS = 60

type Sent = NewAlert & { readonly alertId: string }

/** A small generator, so that a failure can be repeated. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

class Model {
  readonly sent = new Map<string, Sent>()
  /** Alerts of which the store said that they are durable. */
  readonly durable = new Set<string>()
  /** Alerts that the store has taken into the batch: durable once it was closed, unless it gives them back. */
  readonly taken = new Set<string>()
  readonly #random: (below: number) => number
  readonly #hostId: string

  constructor(random: (below: number) => number, hostId: string) {
    this.#random = random
    this.#hostId = hostId
  }

  /** A new alert, or one that was sent before. */
  alert(): Sent {
    const known = [...this.sent.values()]
    const again = known[this.#random(known.length * 4 + 1)]
    if (again) return again
    const receivedAt = this.#random(4) === 0 ? '2003-05-31T23:59:59.999999Z' : undefined
    const alert = newAlert(this.#hostId, receivedAt === undefined ? {} : { receivedAt })
    this.sent.set(alert.alertId, alert)
    return alert
  }

  alerts(most: number): readonly Sent[] {
    return Array.from({ length: 1 + this.#random(most) }, () => this.alert())
  }
}

async function setUp(seed: number, isSpooling: boolean) {
  const random = randomNumbers(seed)
  const proxy = await openProxy(database)
  const folder = spoolFolder()
  const open = () =>
    openWatched(proxy, {
      batchSize: 15,
      flushIntervalMs: 10,
      maxBufferedAlerts: 150,
      overloadWaitMs: 30,
      writeTimeoutMs: 250,
      connectTimeoutMs: 2000,
      closeTimeoutMs: 400,
      retryForMs: 1 + random(300),
      ...(isSpooling ? { spoolDir: folder } : {}),
    })
  const store = await open()
  const model = new Model(random, await newHost(store.store))
  return { random, proxy, open, store, model }
}

async function run(seed: number, isSpooling: boolean) {
  const { random, proxy, open, store: first, model } = await setUp(seed, isSpooling)
  let store = first
  const calls = new Set<Promise<void>>()
  const faults: Fault[] = []
  const start = (call: Promise<void>) => {
    const settled = call.catch(() => undefined).finally(() => calls.delete(settled))
    calls.add(settled)
  }
  const heal = async () => {
    for (const fault of faults) fault.remove()
    proxy.thaw()
    await proxy.accept()
  }
  /** What was taken into the batch is durable when the store was closed, but for what it gives back. */
  const close = async () => {
    try {
      await store.close()
    } catch (error) {
      if (!(error instanceof AlertsNotStoredError)) throw error
      for (const { alert } of error.alerts) model.taken.delete(alert.alertId)
    }
    await Promise.all(calls)
    for (const alertId of model.taken) model.durable.add(alertId)
    model.taken.clear()
  }
  const insert = async () => {
    const receipts = await store.insertAlerts(model.alerts(40))
    for (const { alertId = '', outcome } of receipts) if (outcome !== 'rejected') model.durable.add(alertId)
  }
  const add = async () => {
    const alert = model.alert()
    const { store: current } = store
    await current.batchInsertAlerts(alert)
    model.taken.add(alert.alertId)
  }
  const breakWire = () => {
    const fault = COPY_FAULTS[random(COPY_FAULTS.length)]
    if (fault) faults.push(proxy.inject({ ...fault.spec, times: 1 + random(3) }))
  }
  const reopen = async () => {
    await close()
    await heal()
    store = await open()
  }
  const steps: readonly (() => unknown)[] = [
    () => start(insert()),
    () => start(insert()),
    () => insert().catch(() => undefined),
    () => Array.from({ length: random(30) }, () => start(add())),
    () => Array.from({ length: random(30) }, () => start(add())),
    () => start(store.flush()),
    () => store.flush().catch(() => undefined),
    breakWire,
    breakWire,
    () => proxy.refuse({ cut: random(2) === 0 }),
    () => proxy.freezeAll(),
    () => proxy.cutAll(),
    heal,
    heal,
    () => Promise.race([...calls, nextTurn()]),
    () => (random(3) === 0 ? reopen() : undefined),
  ]
  for (let step = 0; step < STEPS; step++) {
    await steps[random(steps.length)]?.()
    store.check(`step ${step}`)
  }
  await heal()
  await Promise.all(calls)
  await untilAtRest(store)
  await close()
  return { model, report: store.check('closed') }
}

const SEEDS = [1, 2, 3, 4, 5, 6]

it.each(
  SEEDS.flatMap(seed => [
    { seed, spool: 'with a spool' },
    { seed, spool: 'without a spool' },
  ]),
)(
  'any order of calls and faults ($seed, $spool) stores once what was acknowledged',
  async ({ seed, spool }) => {
    const { model, report } = await run(seed, spool === 'with a spool')
    expect(report).toMatchObject({ inFlight: 0, spooled: 0, deadLettered: 0 })
    expect(model.durable.size).toBeGreaterThan(0)
    await expectStoredOnce(
      database,
      [...model.durable].map(alertId => ({ alertId })),
    )
    const [sample] = model.sent.values()
    const rows = await database.sql(
      `SELECT alert_id, count(*)::int AS count FROM alerts WHERE host_id = '${sample?.hostId}' GROUP BY alert_id`,
    )
    for (const row of rows) {
      expect(row['count']).toBe(1)
      expect(model.sent.has(String(row['alert_id']))).toBe(true)
    }
  },
)
