import type { SeverityLevel, TripwireType } from '../model/alert.ts'
import type { TripwireRule } from '../model/rule.ts'
import { selectTimestamp, timestampFromRow } from '../pg/row-values.ts'

export interface RuleRow {
  readonly rule_id: string
  readonly host_id: string | null
  readonly rule_type: TripwireType
  readonly target: string
  readonly severity: SeverityLevel
  readonly enabled: boolean
  readonly created_at: string
  readonly updated_at: string
}

export const RULE_COLUMNS = `
    rule_id,
    host_id,
    rule_type,
    target,
    severity,
    enabled,
    ${selectTimestamp('created_at')},
    ${selectTimestamp('updated_at')}`

export function ruleFromRow(row: RuleRow): TripwireRule {
  return {
    ruleId: row.rule_id,
    hostId: row.host_id,
    ruleType: row.rule_type,
    target: row.target,
    severity: row.severity,
    enabled: row.enabled,
    createdAt: timestampFromRow(row.created_at),
    updatedAt: timestampFromRow(row.updated_at),
  }
}
