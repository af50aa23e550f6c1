import type { AuditVerification } from '../../src/index.ts'

/** A verification in one line, with the hosts under their names: `damaged: gap A5, altered-row B1`. */
export function verificationText(
  { verdict, findings }: AuditVerification,
  names: Readonly<Record<string, string>>,
): string {
  const nameOf = (hostId: string | null) =>
    Object.keys(names).find(name => names[name] === hostId) ?? (hostId === null ? '' : '?')
  const lines = findings.map(({ kind, hostId, sequenceNum }) =>
    `${kind} ${nameOf(hostId)}${sequenceNum ?? ''}`.trim(),
  )
  return lines.length === 0 ? verdict : `${verdict}: ${lines.join(', ')}`
}
