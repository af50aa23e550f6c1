import { attachedMonths, coveredUntil, findGaps, type Span, spanOf } from '../partitions/coverage.ts'
import { DEFAULT_MONTHS_AHEAD } from '../partitions/ensure-partitions.ts'
import { DAY_MS, momentText, monthStart, monthsBetween, monthText } from '../partitions/months.ts'
import { firstFarMonth } from './check-far-future.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { isMisplaced, moveMisplacedSql } from './misplaced-alerts.ts'

export async function checkMissingMonth(context: CheckContext): Promise<CheckOutcome> {
  const { nowMs, partitions } = await context.partitions()
  const farMs = await firstFarMonth(context)
  // A month that was made by mistake in the far future does not ask for those before it.
  const spans = attachedMonths(partitions)
    .map(spanOf)
    .filter(({ fromMs }) => fromMs < farMs)
  const ends = spans.map(({ toMs }) => toMs).filter(Number.isFinite)
  const move = partitions.some(isMisplaced) ? await moveMisplacedSql(context) : undefined
  const within = { fromMs: monthStart(nowMs), toMs: Math.max(monthStart(nowMs, 1), ...ends) }
  const gaps = findGaps(spans, within)
  return {
    message:
      gaps.length === 0
        ? `none from ${monthText(nowMs)} on`
        : `${counted(gaps.length, 'hole')} from ${monthText(nowMs)} on`,
    findings: gaps.map(gap => gapFinding(gap, nowMs, move)),
  }
}

/** @param move what mends partitions whose bounds are not those of a month. */
function gapFinding({ fromMs, toMs }: Span, nowMs: number, move: string | undefined): NewFinding {
  const [first, last] = [monthText(fromMs), monthText(toMs - 1)]
  const isWhole = fromMs === monthStart(fromMs) && toMs === monthStart(toMs)
  return {
    subject: first === last ? first : `${first} to ${last}`,
    message: `no partition holds ${momentText(fromMs)} to ${momentText(toMs)}: an alert of that time is stored only if the ingest can make the month first, which takes time, and is refused otherwise`,
    mend: isWhole || move === undefined ? ensureCommand(monthsBetween(nowMs, toMs - 1)) : move,
    details: { from: momentText(fromMs), to: momentText(toMs) },
  }
}

export async function checkShortHorizon({ options, partitions: list }: CheckContext): Promise<CheckOutcome> {
  const { nowMs, partitions } = await list()
  const untilMs = coveredUntil(attachedMonths(partitions).map(spanOf), nowMs)
  const days = Math.floor((untilMs - nowMs) / DAY_MS)
  const horizonDays = Number.isFinite(days) ? days : null
  const until = momentText(untilMs)
  const details = { horizonDays, until }
  const message = describeHorizon(nowMs, untilMs)
  const { minHorizonDays } = options
  if (days >= minHorizonDays) return { message, details }
  return {
    message,
    details,
    findings: [
      {
        subject: null,
        message: `there are partitions for ${message}, and ${counted(minHorizonDays, 'day')} are wanted: when they run out, alerts have to wait for their month to be made`,
        mend: ensureCommand(monthsBetween(nowMs, nowMs + minHorizonDays * DAY_MS)),
        details,
      },
    ],
  }
}

function describeHorizon(nowMs: number, untilMs: number): string {
  if (untilMs === nowMs) return '0 days: this moment is in none'
  if (!Number.isFinite(untilMs)) return 'ever'
  return `${counted(Math.floor((untilMs - nowMs) / DAY_MS), 'day')}, until ${momentText(untilMs)}`
}

/** The command that makes this month and so many ahead. */
function ensureCommand(monthsAhead: number): string {
  const enough = Math.max(monthsAhead, 0)
  const flag = enough > DEFAULT_MONTHS_AHEAD ? ` --months-ahead ${enough}` : ''
  return `tripwire-storage partitions ensure${flag}`
}
