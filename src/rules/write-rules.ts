import { randomUUID } from 'node:crypto'
import { InvalidInputError, NotFoundError, TripwireStorageError } from '../errors.ts'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../model/alert.ts'
import { parseBoolean, parseObject, parseOneOf, parseOptional, parseText, parseUuid } from '../model/input.ts'
import type { TripwireRule } from '../model/rule.ts'
import type { QueryRunner, SqlValue } from '../pg/database.ts'
import { RULE_COLUMNS, type RuleRow, ruleFromRow } from './rule-row.ts'

const LONGEST_TARGET = 4096
const DEFAULT_SEVERITY = 'WARN'
const RULE_FIELDS = ['ruleId', 'hostId', 'ruleType', 'target', 'severity', 'enabled'] as const

const CREATE_RULE = `
  INSERT INTO tripwire_rules (
    rule_id, host_id, rule_type, target, severity, enabled
  )
  VALUES ($1, $2, $3, $4, $5, $6)
  RETURNING ${RULE_COLUMNS}`

const UPDATE_RULE = `
  UPDATE tripwire_rules
  SET
    host_id = $2,
    rule_type = $3,
    target = $4,
    severity = $5,
    enabled = $6,
    updated_at = clock_timestamp()
  WHERE rule_id = $1
  RETURNING ${RULE_COLUMNS}`

const DELETE_RULE = `
  DELETE FROM tripwire_rules
  WHERE rule_id = $1`

/**
 * Stores a rule and returns it.
 * @throws InvalidInputError, DatabaseError UNKNOWN_HOST or ALREADY_EXISTS.
 */
export async function createRule(db: QueryRunner, rule: unknown): Promise<TripwireRule> {
  const given = parseObject('rule', rule, RULE_FIELDS)
  const created = await writeRule(db, CREATE_RULE, {
    ...given,
    ruleId: given.ruleId ?? randomUUID(),
    severity: given.severity ?? DEFAULT_SEVERITY,
    enabled: given.enabled ?? true,
  })
  if (!created) throw new TripwireStorageError('MALFORMED_ROW', 'the insert of a rule returned no row')
  return created
}

/**
 * Replaces every field of a rule that can change, and returns it.
 * @throws InvalidInputError, NotFoundError, DatabaseError UNKNOWN_HOST.
 */
export async function updateRule(db: QueryRunner, rule: unknown): Promise<TripwireRule> {
  const given = parseObject('rule', rule, RULE_FIELDS)
  if (given.hostId === undefined)
    throw new InvalidInputError('rule.hostId', undefined, 'a UUID, or null for a global rule')
  const updated = await writeRule(db, UPDATE_RULE, given)
  if (!updated) throw new NotFoundError('rule', String(given.ruleId))
  return updated
}

/** @returns whether there was a rule with this id. */
export async function deleteRule(db: QueryRunner, ruleId: string): Promise<boolean> {
  const { rowCount } = await db.query(DELETE_RULE, [parseUuid('ruleId', ruleId)])
  return rowCount > 0
}

async function writeRule(
  db: QueryRunner,
  sql: string,
  rule: { readonly [field in (typeof RULE_FIELDS)[number]]?: unknown },
): Promise<TripwireRule | undefined> {
  const values: SqlValue[] = [
    parseUuid('rule.ruleId', rule.ruleId),
    parseOptional(rule.hostId, value => parseUuid('rule.hostId', value)),
    parseOneOf('rule.ruleType', rule.ruleType, TRIPWIRE_TYPES),
    parseText('rule.target', rule.target, LONGEST_TARGET),
    parseOneOf('rule.severity', rule.severity, SEVERITY_LEVELS),
    parseBoolean('rule.enabled', rule.enabled),
  ]
  const row = (await db.query<RuleRow>(sql, values)).rows[0]
  return row && ruleFromRow(row)
}
