import { TripwireStorageError } from '../../errors.ts'
import type { AuditDamage } from '../../model/audit-checkpoint.ts'

/** The audit log is damaged, so no checkpoint was signed: one would make the damage look right. */
export class AuditDamagedError extends TripwireStorageError {
  /** What is damaged, in the order of the hosts. */
  readonly findings: readonly AuditDamage[]

  constructor(findings: readonly AuditDamage[]) {
    const first = findings[0]
    super(
      'AUDIT_DAMAGED',
      `${findings.length} findings in the audit log${first ? `, the first: ${describeDamage(first)}` : ''}`,
      { hint: 'see the findings of this error, or run: tripwire-storage audit verify' },
    )
    this.findings = findings
  }
}

export function describeDamage({ verdict, hostId, sequenceNum, expected, found }: AuditDamage): string {
  const where = sequenceNum === null ? `host ${hostId}` : `host ${hostId}, entry ${sequenceNum}`
  return `${verdict}: ${where}: expected ${expected}, found ${found}`
}
