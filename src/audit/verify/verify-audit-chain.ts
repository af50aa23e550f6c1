import type { AuditNotChecked, AuditVerification } from '../../model/audit-verification.ts'
import type { Database, QueryRunner } from '../../pg/database.ts'
import { type CallContext, callSignal } from '../call-signal.ts'
import { pruningChecker } from '../pruning/check-pruning.ts'
import { hostOf } from './audit-row.ts'
import { type AuditSnapshot, beginSnapshot, unreadable } from './audit-snapshot.ts'
import { FindingList } from './finding-list.ts'
import { LogWalk } from './log-walk.ts'
import { type CheckPruning, Prunings } from './prunings.ts'
import { ALL_CHAINS, chainOf, readAuditLines } from './read-audit-lines.ts'
import { readVerifyRequest, type VerifyRequest } from './verify-request.ts'

const PROGRESS_INTERVAL_MS = 200

interface Verification {
  readonly request: VerifyRequest
  readonly signal: AbortSignal
  readonly checkPruning: CheckPruning | undefined
  readonly findings: FindingList
  snapshot: AuditSnapshot | undefined
  walk: LogWalk | undefined
  /** What the caller's own listener has thrown. */
  thrown: { readonly error: unknown } | undefined
}

/**
 * Verifies the chain of one host, or of all, as they stand in one snapshot. Streams: what it takes in memory does not grow with
 * the number of entries. See `Store.verifyAuditChain`.
 */
export async function verifyAuditChain(
  db: Database,
  options: unknown,
  context: CallContext = {},
): Promise<AuditVerification> {
  const request = await readVerifyRequest(options)
  const { keys, unusable } = request
  const signal = callSignal(request.signal, context)
  const verification: Verification = {
    request,
    signal,
    checkPruning: keys.length === 0 ? undefined : pruningChecker(keys),
    findings: new FindingList(request.maxFindings),
    snapshot: undefined,
    walk: undefined,
    thrown: undefined,
  }
  const { findings } = verification
  if (unusable) findings.addOfLog(unusable.kind, unusable.expected, unusable.found)
  signal.throwIfAborted()
  try {
    await db.transaction(transaction => verifySnapshot(transaction, verification), signal)
  } catch (error) {
    // The transaction takes the reason for an error of the connection.
    signal.throwIfAborted()
    // It may look like one of ours, and says nothing about the log.
    if (verification.thrown) throw verification.thrown.error
    const reason = unreadable(error)
    if (!reason) throw error
    findings.addOfLog('unreadable', reason.expected, reason.found)
  }
  return resultOf(verification)
}

async function verifySnapshot(transaction: QueryRunner, verification: Verification): Promise<void> {
  const { request, signal, findings, checkPruning } = verification
  const { hostId, checkpoint } = request
  const snapshot = await beginSnapshot(transaction)
  verification.snapshot = snapshot
  const prunings = await Prunings.open(transaction, hostId ?? null)
  const heads = checkpoint?.heads.filter(head => hostId === undefined || head.hostId === hostId)
  const walk = new LogWalk({ heads, prunings, checkPruning, findings, isStandby: snapshot.isStandby })
  verification.walk = walk
  const source = hostId === undefined ? ALL_CHAINS : chainOf(hostId)
  const prepare = (lines: readonly string[]) => readPruningsBeside(prunings, lines)
  // The first rows may be long in coming: all of them are put in order first.
  tellProgress(verification)
  let shownAt = performance.now()
  for await (const lines of readAuditLines(transaction, source, { signal, prepare })) {
    walk.add(lines)
    if (performance.now() - shownAt < PROGRESS_INTERVAL_MS) continue
    shownAt = performance.now()
    tellProgress(verification)
  }
  await walk.finish()
  tellProgress(verification)
  if (hostId === undefined && !snapshot.isStandby) addRolledBack(walk, findings)
  const isEmpty =
    walk.counts.entries === 0 && (heads === undefined || (hostId !== undefined && heads.length === 0))
  if (isEmpty && findings.verdict !== 'damaged') findings.addOfLog('no-entries', 'entries', 'none')
}

function tellProgress(verification: Verification): void {
  const { request, walk } = verification
  try {
    request.onProgress({ entries: walk?.counts.entries ?? 0, hosts: walk?.hosts ?? 0 })
  } catch (error) {
    verification.thrown = { error }
    throw error
  }
}

async function readPruningsBeside(prunings: Prunings, lines: readonly string[]): Promise<void> {
  const last = lines.at(-1)
  const hostId = last === undefined ? '' : hostOf(last)
  if (hostId !== '') await prunings.readUpTo(hostId)
}

function addRolledBack({ tally }: LogWalk, findings: FindingList): void {
  const { rolledBack } = tally
  if (!rolledBack) return
  const { behind, chains } = rolledBack
  findings.addOfLog(
    'rolled-back',
    'chains that end with the checkpoint or after it',
    `${behind} of ${chains} chains end before it, and none after it`,
  )
}

function resultOf({ request, findings, snapshot, walk }: Verification): AuditVerification {
  const { checkpoint } = request
  const {
    entries = 0,
    recomputed = 0,
    rowProtected = 0,
    unprotected = 0,
    unconfirmed = 0,
  } = walk?.counts ?? {}
  return {
    verdict: findings.verdict,
    findings: findings.kept,
    findingCount: findings.count,
    findingsByKind: findings.byKind,
    hosts: walk?.hosts ?? 0,
    entries,
    checked: { recomputed, rowProtected, unprotected, unconfirmed },
    prunings: walk?.prunedChains ?? { chains: 0, verified: 0 },
    checkpoint: checkpoint
      ? {
          path: checkpoint.path,
          origin: checkpoint.checkpoint.origin,
          time: checkpoint.checkpoint.time,
          chains: checkpoint.checkpoint.size,
        }
      : null,
    notChecked: notChecked(request, walk),
    table: snapshot?.table ?? null,
    readAt: snapshot?.readAt ?? null,
  }
}

function notChecked(
  { hostId, checkpoint }: VerifyRequest,
  walk: LogWalk | undefined,
): readonly AuditNotChecked[] {
  const names: AuditNotChecked[] = checkpoint
    ? ['after-checkpoint']
    : ['cut-tails', 'missing-hosts', 'rewritten-chains']
  if (hostId !== undefined) names.push('other-hosts')
  if ((walk?.counts.rowProtected ?? 0) > 0) names.push('given-event-hashes')
  if ((walk?.counts.unprotected ?? 0) > 0) names.push('unprotected-entries')
  if ((walk?.prunedChains.chains ?? 0) > 0) names.push('pruned-entries')
  return names
}
