import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CopyEncoder } from '../../src/alerts/ingest/copy-encoder.ts'
import { type NewAlert, RawJson, SEVERITY_LEVELS, Store, TRIPWIRE_TYPES } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
let store: Store
let hostId: string

beforeAll(async () => {
  store = await Store.open({ connectionString: database.connectionString })
  hostId = await store.upsertHost({ hostname: 'web-1' })
})
afterAll(() => store.close())

const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 200 })
  .filter(value => !value.includes('\0'))
/** Every moment from the year 1 to 9999, with microseconds. */
const moment = fc
  .tuple(fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), fc.nat(999_999))
  .map(([second, micros]) => {
    const date = new Date(second * 1000).toISOString().slice(0, 19)
    return `${date}.${String(micros).padStart(6, '0')}Z`
  })
const receivedAt = fc.option(
  fc.nat(999_999).map(micros => `2026-02-03T04:05:06.${String(micros).padStart(6, '0')}Z`),
  { nil: undefined },
)
const detail = fc.option(
  fc.oneof(
    text.map(value => JSON.stringify(value)),
    fc.constantFrom('null', '[]', '{"n": 12345678901234567890.5}'),
  ),
  { nil: undefined },
)

describe('the binary format of COPY', () => {
  it('brings every value into the table as it was given', async () => {
    const alert = fc.record({
      timestamp: moment,
      tripwireType: fc.constantFrom(...TRIPWIRE_TYPES),
      severity: fc.constantFrom(...SEVERITY_LEVELS),
      ruleName: text,
      detail,
      receivedAt,
    })
    const batches = fc.array(alert, { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(batches, async batch => {
        const alerts = batch.map(({ detail: json, ...plain }): NewAlert & { readonly alertId: string } => ({
          ...plain,
          alertId: randomUUID(),
          hostId,
          eventDetail: json === undefined ? null : RawJson.fromText(json),
        }))
        const receipts = await store.insertAlerts(alerts)
        expect(receipts.every(receipt => receipt.outcome === 'stored')).toBe(true)
        const found = await readBack(alerts.map(each => each.alertId))
        for (const given of alerts) {
          const stored = found.get(given.alertId)
          expect(stored?.['timestamp']).toBe(given.timestamp)
          expect(stored?.['rule_name']).toBe(given.ruleName)
          expect([stored?.['type'], stored?.['severity']]).toEqual([given.tripwireType, given.severity])
          if (given.receivedAt) expect(stored?.['received_at']).toBe(given.receivedAt)
          const json = given.eventDetail instanceof RawJson ? given.eventDetail.text : null
          expect(stored?.['detail']).toBe(json)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('grows its buffer for a row that is larger than it', () => {
    const encoder = new CopyEncoder()
    const encoded = encoder.encode(
      [
        {
          alertId: randomUUID(),
          hostId: randomUUID(),
          timestamp: '2026-02-03T04:05:06.000000Z',
          tripwireType: 'FILE',
          ruleName: 'large',
          eventDetail: RawJson.from('é'.repeat(1_000_000)),
          severity: 'INFO',
          receivedAt: null,
        },
      ],
      false,
    )
    expect(encoded.length).toBeGreaterThan(2_000_000)
  })
})

/** By SQL, apart from the code that reads alerts. */
async function readBack(ids: readonly string[]): Promise<ReadonlyMap<unknown, Record<string, unknown>>> {
  const rows = await database.sql(`
    SELECT
      alert_id::text AS id,
      to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
      to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS received_at,
      tripwire_type AS type,
      severity,
      rule_name,
      event_detail::text AS detail
    FROM alerts
    WHERE alert_id IN (${ids.map(id => `'${id}'`).join(', ')})`)
  return new Map(rows.map(row => [row['id'], row]))
}
