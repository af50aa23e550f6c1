import { TripwireStorageError } from '../../errors.ts'
import type { AuditFinding } from '../../model/audit-verification.ts'

/** The audit log is damaged, or it cannot be told that it is not. No checkpoint was signed: one would make it look right. */
export class AuditDamagedError extends TripwireStorageError {
  /** The first ones of new entries, and all that the earlier checkpoints have and the log has not. */
  readonly findings: readonly AuditFinding[]
  /** How many there are in all. */
  readonly findingCount: number

  constructor(findings: readonly AuditFinding[], findingCount: number) {
    const first = findings[0]
    super(
      'AUDIT_DAMAGED',
      `nothing was signed; findings in the audit log: ${findingCount}${first ? `, the first: ${describeFinding(first)}` : ''}`,
      { hint: 'see the findings of this error; tripwire-storage audit verify looks at all entries' },
    )
    this.findings = findings
    this.findingCount = findingCount
  }
}

function describeFinding({ kind, hostId, sequenceNum, expected, found }: AuditFinding): string {
  const host = hostId === null ? '' : ` of host ${hostId}`
  const entry = sequenceNum === null ? '' : `, entry ${sequenceNum}`
  return `${kind}${host}${entry}: expected ${expected}, found ${found}`
}
