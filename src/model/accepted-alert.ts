import type { SeverityLevel, TripwireType } from './alert.ts'
import type { RawJson } from './raw-json.ts'

/** An alert whose every value PostgreSQL can take, and whose id is fixed, so that it may be sent again. */
export interface AcceptedAlert {
  readonly alertId: string
  readonly hostId: string
  readonly timestamp: string
  readonly tripwireType: TripwireType
  readonly ruleName: string
  readonly eventDetail: RawJson | null
  readonly severity: SeverityLevel
  /** `null`: the server's time. */
  readonly receivedAt: string | null
}
