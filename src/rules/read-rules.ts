import { parseUuid } from '../model/input.ts'
import type { TripwireRule } from '../model/rule.ts'
import type { QueryRunner } from '../pg/database.ts'
import { RULE_COLUMNS, type RuleRow, ruleFromRow } from './rule-row.ts'

const GET_RULE = `
  SELECT ${RULE_COLUMNS}
  FROM tripwire_rules
  WHERE rule_id = $1`

const LIST_RULES = `
  SELECT ${RULE_COLUMNS}
  FROM tripwire_rules
  ORDER BY tripwire_rules.created_at, rule_id`

const LIST_RULES_OF_HOST = `
  SELECT ${RULE_COLUMNS}
  FROM tripwire_rules
  WHERE host_id = $1
    OR host_id IS NULL
  ORDER BY tripwire_rules.created_at, rule_id`

export async function getRule(db: QueryRunner, ruleId: string): Promise<TripwireRule | null> {
  const { rows } = await db.query<RuleRow>(GET_RULE, [parseUuid('ruleId', ruleId)], { isRepeated: true })
  return rows[0] ? ruleFromRow(rows[0]) : null
}

/** The rules of a host and the global ones, oldest first; without a host, all rules. */
export async function listRules(db: QueryRunner, hostId?: string): Promise<readonly TripwireRule[]> {
  const { rows } =
    hostId === undefined
      ? await db.query<RuleRow>(LIST_RULES)
      : await db.query<RuleRow>(LIST_RULES_OF_HOST, [parseUuid('hostId', hostId)], { isRepeated: true })
  return rows.map(ruleFromRow)
}
