import { contentOf, copiesWithin, removeCopiesFrom } from '../partitions/remove-copies.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import type { PartitionTable } from './partition-tables.ts'

const READ_COLUMNS = `
  SELECT quote_ident(attname) AS name
  FROM pg_attribute
  WHERE attrelid = 'alerts'::regclass
    AND attnum > 0
    AND NOT attisdropped
    AND attgenerated = ''
    AND attidentity <> 'a'
  ORDER BY attnum`

/** What an alert consists of, with what an operator added, as it must stand in SQL. */
export async function readAlertColumns(transaction: QueryRunner): Promise<readonly string[]> {
  const { rows } = await transaction.query<{ name: string }>(READ_COLUMNS)
  return rows.map(({ name }) => name)
}

/** Whatever the session says: writers may wait for a moment, and what a policy hides must not be dropped. */
const BEGIN_MOVING = `
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = 0;
SET LOCAL row_security = off;
SET LOCAL TimeZone = 'UTC';`

/**
 * The SQL that takes partitions out and puts their alerts into the months where they belong, in one transaction: what fails
 * leaves everything where it was. Of an alert that is stored twice the first stays; a copy with other content becomes a dead letter.
 * @param partitions in the order in which their alerts come first.
 * @param columns of `readAlertColumns`.
 */
export function moveAlertsSql(
  partitions: readonly Pick<PartitionTable, 'partition' | 'kind'>[],
  columns: readonly string[],
): string {
  const tables = partitions.map(({ partition, kind }, index) => ({
    partition: quoteIdentifier(partition),
    kind,
    aside: `alerts_to_move_${index + 1}`,
  }))
  return inOneTransaction([
    // All of them first: each may stand in the way of a month. Renamed, because the month may need the name.
    ...tables.flatMap(({ partition, kind, aside }) => [
      `ALTER TABLE alerts DETACH PARTITION ${partition};`,
      ...(kind === 'foreign'
        ? [
            `CREATE TABLE ${aside} AS SELECT ${columns.join(', ')} FROM ${partition};`,
            `DROP FOREIGN TABLE ${partition};`,
          ]
        : [`ALTER TABLE ${partition} RENAME TO ${aside};`]),
    ]),
    ...tables.flatMap(({ aside }) => moveRows(aside, columns)),
  ])
}

/** The SQL that puts the alerts of a table that is no partition into the months where they belong, as `moveAlertsSql` does. */
export function takeInAlertsSql(table: string, columns: readonly string[]): string {
  return inOneTransaction(moveRows(table, columns))
}

function inOneTransaction(statements: readonly string[]): string {
  return [
    BEGIN_MOVING.trimStart(),
    ...statements,
    // Those that could not be made before.
    'SELECT partition_name, made, problem FROM ensure_alert_partitions();',
    'COMMIT;',
  ].join('\n')
}

function moveRows(table: string, columns: readonly string[]): readonly string[] {
  const list = columns.join(', ')
  return [
    setPossibleMoments(table),
    asStatement(removeCopiesFrom(table, copiesWithin(table))),
    asStatement(removeCopiesFrom(table, copiesOfStored(table))),
    makeMonths(table),
    `INSERT INTO alerts (${list})\nSELECT ${list}\nFROM ${table};`,
    `DROP TABLE ${table};`,
  ]
}

/** No month is made for such a time, so they get that of the move. */
function setPossibleMoments(table: string): string {
  return `UPDATE ${table}
SET received_at = now()
WHERE received_at NOT BETWEEN '2000-01-01 00:00:00+00' AND now() + INTERVAL '1 day';`
}

function makeMonths(table: string): string {
  return `SELECT ensure_alert_partition(month)
FROM (
  SELECT DISTINCT date_trunc('month', received_at) AS month
  FROM ${table}
) AS months;`
}

/**
 * What stands in a month already, or so near to its edge that it would be refused as sent again. By the unique index of each month:
 * OFFSET 0 keeps the planner from reading all of them.
 */
function copiesOfStored(table: string): string {
  return `
  WITH copies AS (
    SELECT
      moved.tableoid AS partition,
      moved.ctid AS place,
      bool_or(${contentOf('moved')} IS NOT DISTINCT FROM ${contentOf('stored')}) AS is_same
    FROM ${table} AS moved
    CROSS JOIN LATERAL (
      SELECT
        timestamp,
        tripwire_type,
        rule_name,
        event_detail,
        severity
      FROM alerts
      WHERE alert_id = moved.alert_id
        AND host_id = moved.host_id
        AND received_at >= date_trunc('month', moved.received_at) - INTERVAL '7 days'
        AND received_at < date_trunc('month', moved.received_at) + INTERVAL '1 month 7 days'
      OFFSET 0
    ) AS stored
    GROUP BY
      moved.tableoid,
      moved.ctid
  )`
}

/** As the other statements stand. */
function asStatement(query: string): string {
  return `${query.replace(/^\n/, '').replaceAll(/^ {2}/gm, '')};`
}
