import type { QueryRunner } from '../pg/database.ts'
import type { CheckOutcome } from './check-outcome.ts'
import type { CheckContext } from './context.ts'

/** What two machines that keep their time by NTP never differ by. */
const MOST_SKEW_MS = 5000
/** The quickest answer tells most. */
const SAMPLES = 5

const SERVER_CLOCK = `
  SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms`

interface Skew {
  /** How far this machine's clock is ahead of the server's. */
  readonly aheadMs: number
  /** The server read its clock at any moment between the question and the answer. */
  readonly uncertaintyMs: number
}

export async function checkClockSkew({ ask }: CheckContext): Promise<CheckOutcome> {
  const { aheadMs, uncertaintyMs } = await ask(measureSkew)
  const details = { aheadMs: Math.round(aheadMs), uncertaintyMs: Math.round(uncertaintyMs) }
  const seconds = (Math.abs(aheadMs) / 1000).toFixed(3)
  const direction = aheadMs < 0 ? 'behind' : 'ahead of'
  const message = `this machine is ${seconds} s ${direction} the server, ± ${(uncertaintyMs / 1000).toFixed(3)} s`
  if (Math.abs(aheadMs) - uncertaintyMs <= MOST_SKEW_MS) return { message, details }
  return {
    message,
    details,
    findings: [
      {
        subject: null,
        message: `${message}: the times of alerts and of queries mean different moments on the two, and a month may begin on one while it has not on the other`,
        mend: 'timedatectl set-ntp true  # on the machine whose clock is wrong; or whatever keeps its time',
        details,
      },
    ],
  }
}

async function measureSkew(transaction: QueryRunner): Promise<Skew> {
  let best: Skew | undefined
  for (let sample = 0; sample < SAMPLES; sample++) {
    const asked = Date.now()
    const { rows } = await transaction.query<{ ms: string }>(SERVER_CLOCK)
    const answered = Date.now()
    // One more, because the clock of this machine is read in whole milliseconds.
    const uncertaintyMs = (answered - asked) / 2 + 1
    const aheadMs = (asked + answered) / 2 - Number(rows[0]?.ms)
    if (!best || uncertaintyMs < best.uncertaintyMs) best = { aheadMs, uncertaintyMs }
  }
  return best ?? { aheadMs: 0, uncertaintyMs: Number.POSITIVE_INFINITY }
}
