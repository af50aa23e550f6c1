import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import { SIDE_SCHEMA } from './check-table-in-the-way.ts'
import type { CheckContext } from './context.ts'
import { takeInAlertsSql } from './move-alerts.ts'

/** Where an earlier mend of partitions put tables while it moved their alerts. */
const EARLIER_SIDE_SCHEMA = 'alerts_to_move'

interface SetAside {
  readonly schema: string
  readonly name: string
  readonly bytes: string
}

/** What has every column of an alert. */
const FIND_SET_ASIDE = `
  SELECT
    nspname AS schema,
    relname AS name,
    pg_table_size(pg_class.oid) AS bytes
  FROM pg_class
  JOIN pg_namespace
    ON pg_namespace.oid = relnamespace
  WHERE nspname IN ('${EARLIER_SIDE_SCHEMA}', '${SIDE_SCHEMA}')
    AND relkind IN ('r', 'p')
    AND NOT relispartition
    AND NOT EXISTS (
      SELECT attname
      FROM pg_attribute
      WHERE attrelid = 'alerts'::regclass
        AND attnum > 0
        AND NOT attisdropped
        AND attgenerated = ''
        AND attidentity <> 'a'
      EXCEPT
      SELECT attname
      FROM pg_attribute
      WHERE attrelid = pg_class.oid
        AND NOT attisdropped
    )
  ORDER BY nspname COLLATE "C", relname COLLATE "C"`

export async function checkTableSetAside(context: CheckContext): Promise<CheckOutcome> {
  const found = await context.ask(findSetAside)
  const columns = await context.alertColumns()
  return {
    message: found.length === 0 ? 'none' : counted(found.length, 'table'),
    findings: found.map(each => setAsideFinding(each, columns)),
  }
}

async function findSetAside(transaction: QueryRunner): Promise<readonly SetAside[]> {
  return (await transaction.query<SetAside>(FIND_SET_ASIDE)).rows
}

function setAsideFinding({ schema, name, bytes }: SetAside, columns: readonly string[]): NewFinding {
  const table = `${schema}.${quoteIdentifier(name)}`
  const drop = `DROP TABLE ${table};`
  return {
    subject: `${schema}.${name}`,
    message: `the alerts in ${schema}.${name}, where a mend put them aside, are in no query; the mend takes them into their months. What is to be kept as it is belongs into a schema of your own; what throws it away is: ${drop}`,
    mend: takeInAlertsSql(table, columns),
    details: { bytes: Number(bytes), drop },
  }
}
