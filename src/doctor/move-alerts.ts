import { quoteIdentifier } from '../pg/identifier.ts'

/** Where a table is put while its name, and those of its indexes, are needed for a month. */
const SIDE_SCHEMA = 'alerts_to_move'

const COLUMNS = [
  'alert_id',
  'host_id',
  'timestamp',
  'tripwire_type',
  'rule_name',
  'event_detail',
  'severity',
  'received_at',
] as const

/** An alert of a time that no month is made for gets the moment of the move. */
const POSSIBLE_RECEIVED_AT =
  "CASE WHEN received_at BETWEEN '2000-01-01 00:00:00+00' AND now() THEN received_at ELSE now() END"

/**
 * The SQL that takes partitions out and puts their alerts into the months where they belong. In between, they stand in
 * tables of a schema of its own. What fails is rolled back, and can be tried again from there.
 */
export function moveAlertsSql(partitions: readonly string[]): string {
  const tables = partitions.map(partition => ({
    name: quoteIdentifier(partition),
    aside: `${SIDE_SCHEMA}.${quoteIdentifier(partition)}`,
  }))
  return [
    `SET lock_timeout = '2s';`,
    `BEGIN;`,
    `CREATE SCHEMA ${SIDE_SCHEMA};`,
    ...tables.flatMap(({ name }) => [
      `ALTER TABLE alerts DETACH PARTITION ${name};`,
      `ALTER TABLE ${name} SET SCHEMA ${SIDE_SCHEMA};`,
    ]),
    `COMMIT;`,
    `BEGIN;`,
    ...tables.flatMap(({ aside }) => moveRows(aside)),
    `DROP SCHEMA ${SIDE_SCHEMA};`,
    `COMMIT;`,
    `SELECT * FROM ensure_alert_partitions();`,
  ].join('\n')
}

function moveRows(table: string): readonly string[] {
  const values = COLUMNS.map(column => (column === 'received_at' ? POSSIBLE_RECEIVED_AT : `"${column}"`))
  return [
    `SELECT ensure_alert_partition(month) FROM (SELECT DISTINCT date_trunc('month', ${POSSIBLE_RECEIVED_AT}, 'UTC') AS month FROM ${table}) AS months;`,
    `INSERT INTO alerts (${COLUMNS.map(column => `"${column}"`).join(', ')}) SELECT ${values.join(', ')} FROM ${table};`,
    `DROP TABLE ${table};`,
  ]
}
