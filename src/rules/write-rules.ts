import { randomUUID } from 'node:crypto'
import { InvalidInputError, NotFoundError, TripwireStorageError } from '../errors.ts'
import { SEVERITY_LEVELS, TRIPWIRE_TYPES } from '../model/alert.ts'
import { parseBoolean, parseObject, parseOneOf, parseOptional, parseText, parseUuid } from '../model/input.ts'
import type { TripwireRule } from '../model/rule.ts'
import type { QueryRunner, SqlValue, TransactionRunner } from '../pg/database.ts'
import { changeRule } from './record-rule-change.ts'
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
  WHERE rule_id = $1
  RETURNING ${RULE_COLUMNS}`

/** Nobody changes it meanwhile, so that what is recorded as before was before. */
const LOCK_RULE = `
  SELECT ${RULE_COLUMNS}
  FROM tripwire_rules
  WHERE rule_id = $1
  FOR UPDATE`

type Rules = QueryRunner & TransactionRunner

/**
 * Stores a rule and returns it.
 * @throws InvalidInputError, DatabaseError UNKNOWN_HOST or ALREADY_EXISTS.
 */
export async function createRule(db: Rules, rule: unknown, options: unknown = {}): Promise<TripwireRule> {
  const given = parseObject('rule', rule, RULE_FIELDS)
  const values = ruleValues({
    ...given,
    ruleId: given.ruleId ?? randomUUID(),
    severity: given.severity ?? DEFAULT_SEVERITY,
    enabled: given.enabled ?? true,
  })
  const { after } = await changeRule(db, options, 'create-rule', async runner => ({
    before: null,
    after: await writeRule(runner, CREATE_RULE, values),
  }))
  if (!after) throw new TripwireStorageError('MALFORMED_ROW', 'the insert of a rule returned no row')
  return after
}

/**
 * Replaces every field of a rule that can change, and returns it.
 * @throws InvalidInputError, NotFoundError, DatabaseError UNKNOWN_HOST.
 */
export async function updateRule(db: Rules, rule: unknown, options: unknown = {}): Promise<TripwireRule> {
  const given = parseObject('rule', rule, RULE_FIELDS)
  if (given.hostId === undefined)
    throw new InvalidInputError('rule.hostId', undefined, 'a UUID, or null for a global rule')
  const values = ruleValues(given)
  const { after } = await changeRule(db, options, 'update-rule', async (runner, isRecorded) => ({
    before: isRecorded ? await lockRule(runner, String(given.ruleId)) : null,
    after: await writeRule(runner, UPDATE_RULE, values),
  }))
  if (!after) throw new NotFoundError('rule', String(given.ruleId))
  return after
}

/** @returns whether there was a rule with this id. */
export async function deleteRule(db: Rules, ruleId: string, options: unknown = {}): Promise<boolean> {
  const id = parseUuid('ruleId', ruleId)
  const { before } = await changeRule(db, options, 'delete-rule', async runner => ({
    before: await deletedRule(runner, id),
    after: null,
  }))
  return before !== null
}

async function lockRule(db: QueryRunner, ruleId: string): Promise<TripwireRule | null> {
  const { rows } = await db.query<RuleRow>(LOCK_RULE, [ruleId])
  return rows[0] ? ruleFromRow(rows[0]) : null
}

async function deletedRule(db: QueryRunner, ruleId: string): Promise<TripwireRule | null> {
  const { rows } = await db.query<RuleRow>(DELETE_RULE, [ruleId])
  return rows[0] ? ruleFromRow(rows[0]) : null
}

async function writeRule(
  db: QueryRunner,
  sql: string,
  values: readonly SqlValue[],
): Promise<TripwireRule | null> {
  const { rows } = await db.query<RuleRow>(sql, values)
  return rows[0] ? ruleFromRow(rows[0]) : null
}

function ruleValues(
  rule: { readonly [field in (typeof RULE_FIELDS)[number]]?: unknown },
): readonly SqlValue[] {
  return [
    parseUuid('rule.ruleId', rule.ruleId),
    parseOptional(rule.hostId, value => parseUuid('rule.hostId', value)),
    parseOneOf('rule.ruleType', rule.ruleType, TRIPWIRE_TYPES),
    parseText('rule.target', rule.target, LONGEST_TARGET),
    parseOneOf('rule.severity', rule.severity, SEVERITY_LEVELS),
    parseBoolean('rule.enabled', rule.enabled),
  ]
}
