import {
  AUDIT_FINDINGS,
  type AuditFinding,
  type AuditFindingKind,
  type AuditVerdict,
} from '../../model/audit-verification.ts'

/** Counts all findings and keeps the first ones: of the whole log, of damage, and then the others. */
export class FindingList {
  readonly #most: number
  readonly #ofLog: AuditFinding[] = []
  readonly #damage: AuditFinding[] = []
  readonly #others: AuditFinding[] = []
  readonly #byKind = new Map<AuditFindingKind, number>()
  readonly #leftOut: ReadonlySet<AuditFindingKind>
  #count = 0

  /**
   * @param most how many are kept.
   * @param leftOut kinds that are no findings here.
   */
  constructor(most: number, leftOut: readonly AuditFindingKind[] = []) {
    this.#most = most
    this.#leftOut = new Set(leftOut)
  }

  add(finding: AuditFinding): void {
    const isDamage = AUDIT_FINDINGS[finding.kind].verdict === 'damaged'
    this.#keep(isDamage ? this.#damage : this.#others, finding)
  }

  /** A finding that concerns the whole log. There are few of them. */
  addOfLog(kind: AuditFindingKind, expected: string, found: string): void {
    this.#keep(this.#ofLog, { kind, hostId: null, sequenceNum: null, expected, found })
  }

  #keep(list: AuditFinding[], finding: AuditFinding): void {
    if (this.#leftOut.has(finding.kind)) return
    this.#count++
    this.#byKind.set(finding.kind, (this.#byKind.get(finding.kind) ?? 0) + 1)
    if (list.length < this.#most) list.push(detached(finding))
  }

  get count(): number {
    return this.#count
  }

  get byKind(): Readonly<Partial<Record<AuditFindingKind, number>>> {
    return Object.fromEntries(this.#byKind)
  }

  /** In the order of hosts and numbers; what concerns the whole log comes first. */
  get kept(): readonly AuditFinding[] {
    const kept = [...this.#damage, ...this.#others].slice(0, Math.max(this.#most - this.#ofLog.length, 0))
    const ordered = kept.toSorted(
      (a, b) => compare(a.hostId ?? '', b.hostId ?? '') || compareNumbers(a.sequenceNum, b.sequenceNum),
    )
    return [...this.#ofLog.slice(0, this.#most), ...ordered]
  }

  get verdict(): AuditVerdict {
    const verdicts = new Set([...this.#byKind.keys()].map(kind => AUDIT_FINDINGS[kind].verdict))
    if (verdicts.has('damaged')) return 'damaged'
    return verdicts.has('cannot-tell') ? 'cannot-tell' : 'intact'
  }
}

/** Texts of their own: parts of a row would keep the whole row in memory. */
function detached(finding: AuditFinding): AuditFinding {
  return {
    kind: finding.kind,
    hostId: finding.hostId === null ? null : copied(finding.hostId),
    sequenceNum: finding.sequenceNum === null ? null : copied(finding.sequenceNum),
    expected: copied(finding.expected),
    found: copied(finding.found),
  }
}

function copied(text: string): string {
  return Buffer.from(text).toString()
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function compareNumbers(a: string | null, b: string | null): number {
  const difference = BigInt(a ?? 0) - BigInt(b ?? 0)
  if (difference === 0n) return 0
  return difference < 0n ? -1 : 1
}
