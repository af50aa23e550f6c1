import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { firstDifference } from '../../scripts/support/first-difference.ts'
import { SCHEMA_FILE, schemaFileOf } from '../../scripts/support/schema-file.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()

test('this version of PostgreSQL gives the schema of db/schema.sql, letter by letter', async () => {
  const expected = await readFile(new URL(`../../${SCHEMA_FILE}`, import.meta.url), 'utf8')
  expect(firstDifference(expected, await schemaFileOf(database.connectionString))).toBeUndefined()
})

test.each([
  ['a column', 'ALTER TABLE hosts ADD note text', 'ALTER TABLE hosts DROP note'],
  [
    'a default',
    'ALTER TABLE hosts ALTER platform SET DEFAULT 1',
    'ALTER TABLE hosts ALTER platform DROP DEFAULT',
  ],
  [
    'NOT NULL',
    'ALTER TABLE hosts ALTER platform SET NOT NULL',
    'ALTER TABLE hosts ALTER platform DROP NOT NULL',
  ],
  ['a constraint', 'ALTER TABLE hosts ADD CONSTRAINT c CHECK (true)', 'ALTER TABLE hosts DROP CONSTRAINT c'],
  ['an index', 'CREATE INDEX i ON hosts (platform)', 'DROP INDEX i'],
  ['a switched-off trigger', 'ALTER TABLE hosts DISABLE TRIGGER ALL', 'ALTER TABLE hosts ENABLE TRIGGER ALL'],
  [
    'a switched-off foreign key',
    'ALTER TABLE tripwire_rules DISABLE TRIGGER ALL',
    'ALTER TABLE tripwire_rules ENABLE TRIGGER ALL',
  ],
  ['a storage option', 'ALTER TABLE hosts SET (fillfactor = 70)', 'ALTER TABLE hosts RESET (fillfactor)'],
  [
    'row security',
    'ALTER TABLE hosts ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE hosts DISABLE ROW LEVEL SECURITY',
  ],
  ['a policy', 'CREATE POLICY p ON hosts USING (true)', 'DROP POLICY p ON hosts'],
  ['a view', 'CREATE VIEW v AS SELECT 1 AS one', 'DROP VIEW v'],
  ['a sequence', 'CREATE SEQUENCE s', 'DROP SEQUENCE s'],
  ['a domain', 'CREATE DOMAIN d AS text', 'DROP DOMAIN d'],
  ['a function', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1', 'DROP FUNCTION f'],
  [
    'who may not call a function',
    'REVOKE EXECUTE ON FUNCTION hosts_keep_identity() FROM PUBLIC',
    'GRANT EXECUTE ON FUNCTION hosts_keep_identity() TO PUBLIC',
  ],
  ['a partition', "SELECT ensure_alert_partition('2025-01-01Z')", 'DROP TABLE alerts_y2025m01'],
  ['a comment on a table', "COMMENT ON TABLE hosts IS 'x'", 'COMMENT ON TABLE hosts IS NULL'],
  [
    'a comment on a column',
    "COMMENT ON COLUMN hosts.platform IS 'x'",
    'COMMENT ON COLUMN hosts.platform IS NULL',
  ],
  [
    'a comment on a trigger',
    "COMMENT ON TRIGGER hosts_keep_alerts ON hosts IS 'x'",
    'COMMENT ON TRIGGER hosts_keep_alerts ON hosts IS NULL',
  ],
])('%s is seen', async (_, change, undo) => {
  const before = await schemaFileOf(database.connectionString)
  await database.sql(change)
  const difference = firstDifference(before, await schemaFileOf(database.connectionString))
  await database.sql(undo)
  expect(difference).toMatch(/^[+]/m)
  expect(firstDifference(before, await schemaFileOf(database.connectionString))).toBeUndefined()
})

test('the session of the caller does not change the text', async () => {
  const before = await schemaFileOf(database.connectionString)
  await database.alter(`SET TimeZone = 'Asia/Kathmandu'`, `SET DateStyle = 'German'`)
  expect(firstDifference(before, await schemaFileOf(database.connectionString))).toBeUndefined()
})
