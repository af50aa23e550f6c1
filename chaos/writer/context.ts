import type { Store } from '../../src/index.ts'
import type { PlannedAlert } from '../alerts/plan.ts'
import type { Random } from '../support/random.ts'
import type { SentAlerts } from './sent-alerts.ts'
import type { TakenCount } from './taken-count.ts'

/** `produce`: new alerts, and earlier ones again. `settle`: only what is not acknowledged. `close`: nothing any more. */
export type Mode = 'produce' | 'settle' | 'close'

/** What the parts of a writer share. */
export interface WriterContext {
  readonly store: Store
  readonly hasSpool: boolean
  readonly random: Random
  readonly sent: SentAlerts
  readonly taken: TakenCount
  readonly mode: () => Mode
  readonly alert: (number: number) => PlannedAlert
  readonly reportViolation: (text: string) => void
}
