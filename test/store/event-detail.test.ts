import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NewAlert, RawJson, type Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { canonicalJson } from './canonical-json.ts'
import { aroundNow, newAlert, newHost, openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

/** Stores alerts with these details and reads them back, in the order given. */
async function roundTrip(details: readonly NewAlert['eventDetail'][]): Promise<readonly (RawJson | null)[]> {
  const hostId = await newHost(store)
  const alerts = details.map(eventDetail => newAlert(hostId, { eventDetail }))
  const receipts = await store.insertAlerts(alerts)
  expect(receipts.filter(receipt => receipt.outcome !== 'stored')).toEqual([])
  const page = await store.queryAlerts({ ...aroundNow(), hostId, limit: 10_000 })
  const byId = new Map(page.alerts.map(alert => [alert.alertId, alert.eventDetail]))
  return alerts.map(alert => byId.get(alert.alertId) ?? null)
}

const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }).map(text => JSON.stringify(text.replaceAll('\0', ''))),
  fc.constantFrom('true', 'false', 'null', '""', '"\\u00e9\\ud83d\\ude00\\/\\b"', '-0', '0.0', '1e0'),
  fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }).map(String),
  fc
    .tuple(
      fc.bigInt(),
      fc.nat({ max: 999_999 }),
      fc.integer({ min: -300, max: 300 }),
      fc.constantFrom('e', 'E', 'e+'),
    )
    .map(
      ([whole, fraction, exponent, mark]) =>
        `${whole}.${fraction}${mark === 'e+' ? `e+${Math.abs(exponent)}` : `${mark}${exponent}`}`,
    ),
)
const space = fc.constantFrom('', ' ', '\n\t')
const { document } = fc.letrec<{ document: string }>(tie => ({
  document: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    scalar,
    fc
      .tuple(fc.array(tie('document'), { maxLength: 5 }), space)
      .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}${gap}]`),
    fc
      .tuple(
        fc.uniqueArray(
          fc.tuple(
            fc.string({ unit: 'grapheme' }).map(key => key.replaceAll('\0', '')),
            tie('document'),
          ),
          {
            maxLength: 5,
            selector: ([key]) => key,
          },
        ),
        space,
      )
      .map(
        ([members, gap]) =>
          `{${members.map(([key, value]) => `${JSON.stringify(key)}${gap}:${value}`).join(',')}}`,
      ),
  ),
}))

describe('eventDetail', () => {
  it('keeps any JSON document: every key, every character, every digit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(document, { minLength: 1, maxLength: 40 }), async texts => {
        const back = await roundTrip(texts.map(text => RawJson.fromText(text)))
        expect(back.map(detail => canonicalJson(detail?.text ?? 'missing'))).toEqual(texts.map(canonicalJson))
      }),
      { numRuns: 25 },
    )
  }, 60_000)

  it('tells absent, SQL NULL and JSON null apart', async () => {
    const hostId = await newHost(store)
    const details = [undefined, null, RawJson.from(null), RawJson.fromText('null')]
    const back = await roundTrip(details)
    expect(back.map(detail => detail?.text ?? null)).toEqual([null, null, 'null', 'null'])
    await store.insertAlerts([
      newAlert(hostId, { eventDetail: null }),
      newAlert(hostId, { eventDetail: RawJson.from(null) }),
    ])
    const rows = await database.sql(
      `SELECT event_detail IS NULL AS sql_null, jsonb_typeof(event_detail) AS type FROM alerts WHERE host_id = '${hostId}' ORDER BY 1`,
    )
    expect(rows).toEqual([
      { sql_null: false, type: 'null' },
      { sql_null: true, type: null },
    ])
  })

  it.each([
    '9007199254740993',
    '-9223372036854775809',
    '123456789012345678901234567890',
    '0.1234567890123456789',
    '1.10',
    '100.000',
  ])('F46: keeps the digits of %s', async digits => {
    const [alone, inside] = await roundTrip([
      RawJson.fromText(digits),
      RawJson.fromText(`{"pid": [${digits}]}`),
    ])
    expect(alone?.text).toBe(digits)
    expect(inside?.text).toBe(`{"pid": [${digits}]}`)
  })

  it('takes plain values', async () => {
    const value = {
      path: '/etc/пароль',
      tags: ['a', null, true, 1.5],
      nested: { '': {} },
      emoji: '😀 \u2028',
    }
    const [back] = await roundTrip([value])
    expect(back?.parse()).toEqual(value)
  })

  it('takes a document of a megabyte, and one nested 500 deep', async () => {
    const large = { log: 'x'.repeat(1_000_000) }
    const deep = `${'['.repeat(500)}7${']'.repeat(500)}`
    const [first, second] = await roundTrip([large, RawJson.fromText(deep)])
    expect(first?.parse()).toEqual(large)
    expect(second?.text).toBe(deep)
  })
})
