import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SEVERITY_LEVELS, type SeverityLevel, type Store } from '../../../src/index.ts'
import { newHost, openStore } from '../../store/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'
import { startWireProxy, type WireProxy } from '../../support/wire-proxy.ts'
import { Consumer } from './consumer.ts'
import { type CommittedTransaction, EventOrder, WriterSession } from './writer-session.ts'

const database = useTestDatabase()
const SESSIONS = 5
const LATE = ['0s', '1ms', '20 minutes'] as const

/** Followed by every consumer of a test; the writers use other hosts. */
const FILTERS: readonly (readonly SeverityLevel[])[] = [
  SEVERITY_LEVELS,
  ['CRITICAL'],
  ['INFO', 'WARN'],
  // Once more, because tails with the same filter share their reads.
  SEVERITY_LEVELS,
]

type Step =
  | { readonly kind: 'begin'; readonly isRepeatable: boolean }
  | { readonly kind: 'insert'; readonly count: number; readonly late: (typeof LATE)[number] }
  | { readonly kind: 'savepoint' | 'rollbackToSavepoint' | 'commit' | 'rollback' }
type Event =
  | { readonly session: number; readonly step: Step }
  | { readonly restart: number }
  | { readonly kind: 'cutConnections' | 'letConsumersRead' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('begin'), isRepeatable: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('insert'),
      count: fc.integer({ min: 1, max: 6 }),
      late: fc.constantFrom(...LATE),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Step>(
      { kind: 'savepoint' },
      { kind: 'rollbackToSavepoint' },
      { kind: 'commit' },
      { kind: 'commit' },
      { kind: 'rollback' },
    ),
  },
)

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ session: fc.nat(SESSIONS - 1), step }) },
  { weight: 1, arbitrary: fc.record({ restart: fc.nat(FILTERS.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cutConnections') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('letConsumersRead') }) },
)

async function runStep(session: WriterSession, { ...given }: Step): Promise<void> {
  switch (given.kind) {
    case 'begin':
      return session.begin(given.isRepeatable ? 'REPEATABLE READ' : 'READ COMMITTED')
    case 'insert':
      return session.insert(given.count, given.late)
    default:
      return session[given.kind]()
  }
}

/** What one consumer must have got: everything that its filter lets pass, each once, and in the promised order. */
function expectDelivered(
  consumer: Consumer,
  severities: readonly SeverityLevel[],
  committed: readonly CommittedTransaction[],
): void {
  const wanted = committed.map(({ alerts, ...rest }) => ({
    ...rest,
    alertIds: alerts.filter(({ severity }) => severities.includes(severity)).map(({ alertId }) => alertId),
  }))
  expect([...consumer.delivered].sort()).toEqual(wanted.flatMap(({ alertIds }) => alertIds).sort())
  const place = new Map(consumer.delivered.map((alertId, index) => [alertId, index]))
  const transactions = wanted
    .filter(({ alertIds }) => alertIds.length > 0)
    .map(({ alertIds, began, ended }) => {
      const places = alertIds.map(alertId => place.get(alertId) ?? Number.NaN)
      return { began, ended, first: Math.min(...places), last: Math.max(...places) }
    })
  for (const earlier of transactions) {
    for (const later of transactions) {
      if (earlier.ended < later.began) expect(earlier.last).toBeLessThan(later.first)
    }
  }
}

/** Writes an alert of each severity, and waits until every consumer got those that its filter lets pass. */
async function waitForConsumers(marker: WriterSession, consumers: readonly Consumer[]): Promise<void> {
  await marker.insert(SEVERITY_LEVELS.length, '0s')
  const alerts = marker.committed.at(-1)?.alerts ?? []
  for (const [index, consumer] of consumers.entries()) {
    for (const { alertId, severity } of alerts) {
      if (FILTERS[index]?.includes(severity)) await consumer.waitFor(alertId)
    }
  }
}

describe('F41: each committed alert is delivered once to each consumer', () => {
  let proxy: WireProxy
  let store: Store
  let hostId: string

  beforeAll(async () => {
    proxy = await startWireProxy({ target: database.connectionString })
    store = await openStore(proxy)
    hostId = await newHost(store)
    await store.ensurePartitions()
  })
  afterAll(async () => {
    await store.close()
    await proxy.close()
  })

  /** Runs `work`, ends what is open, waits for the consumers, and compares. The last session is for waiting alone. */
  const withEveryone = async (
    work: (sessions: readonly WriterSession[], consumers: readonly Consumer[]) => Promise<void>,
  ) => {
    const order = new EventOrder()
    const connecting = Array.from({ length: SESSIONS + 1 }, () =>
      WriterSession.connect(database.directConnectionString, hostId, order),
    )
    const sessions = await Promise.all(connecting)
    const consumers = FILTERS.map(severity => new Consumer({ filter: { hostId, severity } }))
    try {
      await Promise.all(consumers.map(consumer => consumer.start(store)))
      await work(sessions, consumers)
      for (const session of sessions) await session.commit()
      const marker = sessions[SESSIONS]
      if (marker) await waitForConsumers(marker, consumers)
    } finally {
      await Promise.all(consumers.map(consumer => consumer.stop()))
      await Promise.all(sessions.map(session => session.close()))
    }
    const committed = sessions.flatMap(session => session.committed)
    consumers.forEach((consumer, index) => {
      expectDelivered(consumer, FILTERS[index] ?? [], committed)
    })
  }

  it('with transactions that overlap in any way, savepoints, rollbacks, restarts and lost connections', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 30, maxLength: 100 }), async events => {
        await withEveryone(async (sessions, consumers) => {
          for (const given of events) {
            if ('session' in given) {
              const session = sessions[given.session]
              if (session) await runStep(session, given.step)
            } else if ('restart' in given) {
              const consumer = consumers[given.restart]
              await consumer?.stop()
              await consumer?.start(store)
            } else if (given.kind === 'cutConnections') {
              await proxy.cutAll()
            } else if (sessions[SESSIONS]) {
              await waitForConsumers(sessions[SESSIONS], consumers)
            }
          }
        })
      }),
      { numRuns: 15 },
    )
  })
  it('with writers that run at the same time, while consumers are stopped and connections are lost', {
    timeout: 120_000,
  }, async () => {
    await withEveryone(async (sessions, consumers) => {
      const disturb = async () => {
        for (const consumer of consumers) {
          await consumer.stop()
          await consumer.start(store)
        }
        await proxy.cutAll()
      }
      await Promise.all(
        sessions.slice(0, SESSIONS).map(async (session, index) => {
          for (let round = 0; round < 40; round++) {
            const steps = fc.sample(fc.array(step, { maxLength: 8 }), 1)[0] ?? []
            for (const each of steps) await runStep(session, each)
            // So that the others come in between.
            await session.sql(`SELECT pg_sleep(random() * 0.01)`)
            if (index === 0 && round % 4 === 0) await disturb()
            if (round % 3 > 0) await session.commit()
          }
        }),
      )
    })
  })
})
