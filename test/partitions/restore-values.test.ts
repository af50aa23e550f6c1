import fc from 'fast-check'
import { expect, it } from 'vitest'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import type { Database } from '../../src/pg/database.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  newHosts,
  openDatabase,
  type TestMonth,
} from './archive-support.ts'

const database = useTestDatabase()

/** What stands in a row, as text that PostgreSQL reads. */
interface Row {
  readonly alertId: string
  readonly timestamp: string
  readonly ruleName: string
  readonly detail: string | null
  /** Microseconds after the first moment of the month. */
  readonly offset: number
  readonly type: string
  readonly severity: string
}

const MONTH_MICROSECONDS = 28 * 86_400_000_000

/** The ends of the range, what is not finite, the years before 1 and after 9999, and microseconds anywhere. */
const timestamps = fc.oneof(
  fc.constantFrom(
    'infinity',
    '-infinity',
    '4714-11-24 00:00:00+00 BC',
    '0001-12-31 23:59:59.999999+00 BC',
    '0001-01-01 00:00:00+00',
    '9999-12-31 23:59:59.999999+00',
    '10000-01-01 00:00:00+00',
    '294276-12-31 23:59:59.999999+00',
    '1970-01-01 00:00:00.000001+00',
    '2016-12-31 23:59:60+00',
  ),
  fc
    .tuple(
      fc.integer({ min: 1, max: 4712 }),
      fc.integer({ min: 0, max: 999_999 }),
      fc.constantFrom(' BC', ''),
    )
    .map(
      ([year, micros, era]) =>
        `${String(year).padStart(4, '0')}-02-28 13:14:15.${String(micros).padStart(6, '0')}+00${era}`,
    ),
  fc
    .date({
      min: new Date('0002-01-01T00:00:00Z'),
      max: new Date('9998-12-31T00:00:00Z'),
      noInvalidDate: true,
    })
    .map(date => date.toISOString()),
)

/** All that `text` can hold: everything but NUL. */
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map(text => text.replaceAll('\0', '')),
  fc.constantFrom(
    '',
    ' ',
    '\\',
    '"',
    '\n',
    '\r\n',
    '\u007f\u0085\u2028\u2029\ufeff',
    '\\u0041',
    '$1 ; --',
    '\u{10ffff}',
  ),
  fc.string({ unit: 'grapheme', minLength: 400, maxLength: 500 }),
)

const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,40})(\.\d{1,40})?([eE][+-]?\d{1,3})?$/)
const numbers = fc.oneof(
  digits,
  fc.constantFrom(
    '-0',
    '0.00',
    '1.10',
    '9007199254740993',
    '1e-400',
    '1E+400',
    '-1e1000',
    `0.${'0'.repeat(500)}1`,
  ),
)
const details = fc.oneof(
  fc.constant(null),
  fc.constantFrom(
    'null',
    'true',
    '""',
    '[]',
    '{}',
    '{"":{"":[]}}',
    '[[[[[[null]]]]]]',
    '{"eventDetail":null}',
  ),
  numbers,
  texts.map(text => JSON.stringify(text)),
  fc.array(numbers, { maxLength: 5 }).map(list => `[${list.join(' ,\n')}]`),
  fc
    .array(fc.tuple(texts, numbers), { maxLength: 5 })
    .map(members => `{${members.map(([name, value]) => `${JSON.stringify(name)} :${value}`).join(',')}}`),
  // Longer than what is fetched with others.
  fc.integer({ min: 16_000, max: 16_800 }).map(length => JSON.stringify('x'.repeat(length))),
)

const rows: fc.Arbitrary<Row> = fc.record({
  // Few, so that alerts stand twice and the order is a matter of the rest.
  alertId: fc.oneof(
    fc.uuid(),
    fc.constantFrom('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
  ),
  timestamp: timestamps,
  ruleName: texts,
  detail: details,
  offset: fc.oneof(
    fc.integer({ min: 0, max: MONTH_MICROSECONDS }),
    fc.constantFrom(0, 1, MONTH_MICROSECONDS),
  ),
  type: fc.constantFrom('FILE', 'NETWORK', 'PROCESS'),
  severity: fc.constantFrom('INFO', 'WARN', 'CRITICAL'),
})

async function insertRows(
  db: Database,
  month: TestMonth,
  hostIds: readonly string[],
  list: readonly Row[],
): Promise<void> {
  await db.query(
    `INSERT INTO ${month.table} (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
     SELECT alert_id, host_id, timestamp, type, rule_name, detail, severity, '${month.from}'::timestamptz + micros * INTERVAL '1 microsecond'
     FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::tripwire_type[], $5::text[], $6::jsonb[], $7::severity_level[], $8::bigint[])
       AS given (alert_id, host_id, timestamp, type, rule_name, detail, severity, micros)`,
    [
      list.map(row => row.alertId),
      list.map((_, index) => hostIds[index % hostIds.length] ?? null),
      list.map(row => row.timestamp),
      list.map(row => row.type),
      list.map(row => row.ruleName),
      list.map(row => row.detail),
      list.map(row => row.severity),
      list.map(row => String(row.offset)),
    ],
  )
}

it('every value that a row can hold comes back as it was', async () => {
  const db = openDatabase(database)
  const month = await detachedMonth(database, 0)
  const hostIds = await newHosts(database, 2)
  await database.sql(`DROP INDEX ${month.table}_stored_once`)
  await database.sql(`CREATE TABLE emptied (LIKE ${month.table})`)
  const folder = await archiveFolder()
  await fc.assert(
    fc.asyncProperty(fc.array(rows, { maxLength: 30 }), async list => {
      await database.sql(`CREATE TABLE IF NOT EXISTS ${month.table} (LIKE emptied)`)
      await insertRows(db, month, hostIds, list)
      const before = await imageOf(database, month.table)
      const archive = await writeArchive(db, archiveRequest(month, folder))
      await database.sql(`DROP TABLE ${month.table}`)
      await restorePartition(db, archive.manifestPath)
      expect(await imageOf(database, month.table)).toEqual(before)
      await database.sql(`DROP TABLE ${month.table}`)
    }),
    { numRuns: 60 },
  )
}, 120_000)
