import { momentText, monthStart } from '../partitions/months.ts'
import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'

/** Where the mend puts such a table: renamed, it would still have the names of its indexes, which the month needs. */
export const SIDE_SCHEMA = 'alerts_set_aside'

interface NamedLikeMonth {
  readonly name: string
  readonly kind: string
}

const FIND_NAMED_LIKE_MONTHS = `
  SELECT
    relname AS name,
    CASE
      WHEN relkind IN ('r', 'p') THEN 'table'
      WHEN relkind IN ('v', 'm') THEN 'view'
      ELSE 'relation'
    END AS kind
  FROM pg_class
  WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'alerts'::regclass)
    AND relname ~ '^alerts_y[0-9]{4}m(0[1-9]|1[0-2])$'
    AND NOT EXISTS (
      SELECT
      FROM pg_inherits
      WHERE inhrelid = pg_class.oid
        AND inhparent = 'alerts'::regclass
    )
  ORDER BY relname COLLATE "C"`

export async function checkTableInTheWay(context: CheckContext): Promise<CheckOutcome> {
  const { partitions } = await context.partitions()
  const named = await context.ask(findNamedLikeMonths)
  const inTheWay = named.filter(({ name }) => !partitions.some(({ partition }) => partition === name))
  return {
    message: inTheWay.length === 0 ? 'none' : counted(inTheWay.length, 'table'),
    findings: inTheWay.map(inTheWayFinding),
  }
}

async function findNamedLikeMonths(transaction: QueryRunner): Promise<readonly NamedLikeMonth[]> {
  return (await transaction.query<NamedLikeMonth>(FIND_NAMED_LIKE_MONTHS)).rows
}

function inTheWayFinding({ name, kind }: NamedLikeMonth): NewFinding {
  const fromMs = Date.UTC(Number(name.slice(8, 12)), Number(name.slice(13, 15)) - 1)
  const [from, to] = [momentText(fromMs), momentText(monthStart(fromMs, 1))]
  const table = quoteIdentifier(name)
  const attach = `ALTER TABLE alerts ATTACH PARTITION ${table} FOR VALUES FROM ('${from}') TO ('${to}');`
  return {
    subject: name,
    message: `the ${kind} ${name} is no partition of alerts: no query sees what is in it, and its month cannot be made or restored while it has that name; the mend puts it aside, and what brings its alerts back instead is: ${attach}`,
    mend: [
      `CREATE SCHEMA IF NOT EXISTS ${SIDE_SCHEMA};`,
      `ALTER TABLE ${table} SET SCHEMA ${SIDE_SCHEMA};`,
    ].join('\n'),
    details: { kind, from, to, attach },
  }
}
