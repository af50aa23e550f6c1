import { setTimeout as sleep } from 'node:timers/promises'
import type { AlertReceipt } from '../../src/index.ts'
import { isOfUnknownHost } from '../alerts/plan.ts'
import { describeError, failureOf } from './allowed-errors.ts'
import type { WriterContext } from './context.ts'

const LARGEST_LIST = 500
const IDLE_MS = 20
/** After a refusal, so that an outage is no busy loop. */
const REFUSED_MS = 50

/** Hands lists to `insertAlerts`, one after the other, until the writer closes. */
export async function sendLists(context: WriterContext): Promise<void> {
  const { sent, random, mode } = context
  while (mode() !== 'close') {
    const again = sent.takeForSendingAgain(random.int(1, LARGEST_LIST))
    if (mode() === 'settle') {
      if (again.length === 0) await sleep(IDLE_MS)
      else await sendList(context, again, [])
      continue
    }
    // Mostly short lists: many calls then share a batch.
    const length = random.chance(0.2) ? random.int(1, LARGEST_LIST) : random.int(1, 30)
    const fresh = sent.create(again.length > 0 ? random.int(0, 5) : length)
    const resends = random.chance(0.1) ? sent.pickAcknowledged(random, random.int(1, 50)) : []
    await sendList(context, [...again, ...fresh], resends)
    await sleep(random.int(1, 60))
  }
}

async function sendList(
  context: WriterContext,
  numbers: readonly number[],
  resends: readonly number[],
): Promise<void> {
  const { store, sent, taken, hasSpool, reportViolation } = context
  const isResend = new Set(resends)
  const list = [...resends, ...numbers.filter(number => !isResend.has(number))]
  const wasInDatabase = list.map(number => sent.isInDatabase(number))
  let receipts: readonly AlertReceipt[]
  try {
    receipts = await store.insertAlerts(list.map(context.alert))
  } catch (error) {
    const failure = failureOf(error, hasSpool)
    if (failure === undefined || (failure === 'closed' && context.mode() !== 'close')) {
      reportViolation(`insertAlerts failed with ${describeError(error)}`)
    }
    // A part of the list may have got into the spool.
    if (hasSpool) taken.doubtful(list.length)
    sent.sendAgain(numbers)
    if (failure !== 'closed') await sleep(REFUSED_MS)
    return
  }
  taken.certain(list.length)
  if (receipts.length !== list.length) {
    reportViolation(`insertAlerts gave ${receipts.length} receipts for ${list.length} alerts`)
  }
  const byOutcome = Map.groupBy(list, (_, index) => receipts[index]?.outcome ?? 'spooled')
  for (const [outcome, group] of byOutcome) sent.acknowledge(outcome, group)
  list.forEach((number, index) => {
    const problem = problemOf(context, number, receipts[index], wasInDatabase[index] === true)
    if (problem !== undefined) reportViolation(`alert ${number}: ${problem}`)
  })
}

function problemOf(
  { alert }: WriterContext,
  number: number,
  receipt: AlertReceipt | undefined,
  wasInDatabase: boolean,
): string | undefined {
  if (receipt === undefined) return 'has no receipt'
  const { alertId, outcome, error } = receipt
  if (alertId !== alert(number).alertId) return `has the receipt of ${alertId}`
  if (outcome === 'stored' && wasInDatabase) return 'was stored a second time'
  if (isOfUnknownHost(number)) {
    if (outcome === 'spooled' || (outcome === 'rejected' && error?.code === 'UNKNOWN_HOST')) return undefined
    return `names an unknown host and is ${outcome} ${error?.code ?? ''}`
  }
  return outcome === 'rejected' ? `was rejected: ${describeError(error)}` : undefined
}
