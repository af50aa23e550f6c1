import { isDeepStrictEqual } from 'node:util'
import type { LedgerEntry, Receipt } from '../alerts/ledger.ts'
import { isOfUnknownHost, type PlannedAlert, parseAlertId, plannedAlert } from '../alerts/plan.ts'
import type { StoredAlert, StoredContent } from './stored-content.ts'

/** What the database must have answered, and not the spool. */
const DATABASE_RECEIPTS: ReadonlySet<Receipt> = new Set(['stored', 'duplicate', 'rejected'])

/** What one writer sent. */
export interface Sent {
  readonly writer: number
  readonly hasSpool: boolean
  readonly entries: ReadonlyMap<number, LedgerEntry>
}

/** `rest`: all writers have had everything stored. `killed`: they were killed, and their spools may hold alerts. */
export type Moment = 'rest' | 'killed'

export interface Problem {
  readonly writer: number
  readonly number: number
  readonly text: string
}

/** Every alert that is not where its ledger says that it must be. */
export function findProblems(
  origin: number,
  writers: readonly Sent[],
  content: StoredContent,
  moment: Moment,
): readonly Problem[] {
  const problems: Problem[] = []
  for (const { writer, hasSpool, entries } of writers) {
    for (const [number, { receipts }] of entries) {
      const planned = plannedAlert(origin, writer, number)
      const text =
        findExcess(planned, receipts, content, hasSpool) ??
        findAbsence(number, planned, receipts, content, moment)
      if (text !== undefined) problems.push({ writer, number, text })
    }
  }
  return [...problems, ...findStrangers(writers, content)]
}

/** Present more often than it may be. */
function findExcess(
  { alertId }: PlannedAlert,
  receipts: LedgerEntry['receipts'],
  { alerts, deadLetters }: StoredContent,
  hasSpool: boolean,
): string | undefined {
  const rows = alerts.get(alertId)?.length ?? 0
  if (rows > 1) return `is stored ${rows} times`
  const timesStored = receipts.filter(receipt => receipt === 'stored').length
  if (timesStored > 1) return `was acknowledged as stored ${timesStored} times`
  const letters = deadLetters.get(alertId)?.length ?? 0
  // The spool gives an alert its `receivedAt`, which makes it another dead letter than the one of a resend.
  return letters > 1 && !hasSpool ? `has ${letters} dead letters` : undefined
}

/** Not where it must be, or not as it was sent. */
function findAbsence(
  number: number,
  planned: PlannedAlert,
  receipts: LedgerEntry['receipts'],
  { alerts, deadLetters, spooled }: StoredContent,
  moment: Moment,
): string | undefined {
  const row = alerts.get(planned.alertId)?.[0]
  const reasons = deadLetters.get(planned.alertId) ?? []
  const isBad = isOfUnknownHost(number)
  if (isBad && row) return 'is stored, though its host is unknown'
  const wrongReason = reasons.find(reason => !isBad || reason !== 'UNKNOWN_HOST')
  if (wrongReason !== undefined) return `is a dead letter: ${wrongReason}`
  if (row) return differenceOf(planned, row)
  if (reasons.length > 0) return undefined
  if (receipts.length === 0) return moment === 'rest' ? 'was never acknowledged' : undefined
  if (!spooled.has(planned.alertId)) return `is LOST; it was acknowledged as ${receipts.join(', ')}`
  const answer = receipts.find(receipt => DATABASE_RECEIPTS.has(receipt))
  return answer && `is only in the spool, and was acknowledged as ${answer}`
}

function differenceOf(planned: PlannedAlert, row: StoredAlert): string | undefined {
  const expected = {
    hostId: planned.hostId,
    timestampMs: String(planned.timestamp.getTime()),
    tripwireType: planned.tripwireType,
    ruleName: planned.ruleName,
    severity: planned.severity,
    detail: planned.eventDetail,
    ...(planned.receivedAt ? { receivedAtMs: String(planned.receivedAt.getTime()) } : {}),
  }
  const { alertId: _, receivedAtMs, ...others } = row
  const detail: unknown = row.detail === null ? null : JSON.parse(row.detail)
  const stored = { ...others, detail, ...(planned.receivedAt ? { receivedAtMs } : {}) }
  return isDeepStrictEqual(stored, expected) ? undefined : `has other content: ${JSON.stringify(stored)}`
}

/** Alerts that nobody sent. */
function findStrangers(writers: readonly Sent[], content: StoredContent): readonly Problem[] {
  const sent = new Map(writers.map(({ writer, entries }) => [writer, entries]))
  const ids = [...content.alerts.keys(), ...content.deadLetters.keys(), ...content.spooled]
  return ids.flatMap(alertId => {
    const parsed = parseAlertId(alertId)
    if (parsed && sent.get(parsed.writer)?.has(parsed.number)) return []
    return [{ writer: parsed?.writer ?? 0, number: parsed?.number ?? 0, text: `was never sent: ${alertId}` }]
  })
}
