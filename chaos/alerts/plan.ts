/**
 * The alerts of the writers. Writer and number say everything about an alert, so it can be sent again with the same
 * content after any crash, and a stored row can be compared with what it must say.
 */
import type { NewAlert } from '../../src/index.ts'

/** The hosts that are registered before the first round. */
export const HOST_IDS = [
  '00000000-0000-4000-8000-00000000aaaa',
  '00000000-0000-4000-8000-00000000bbbb',
  '00000000-0000-4000-8000-00000000cccc',
] as const
const UNKNOWN_HOST_ID = '00000000-0000-4000-8000-00000000ffff'

const DAY_MS = 86_400_000
const SEVERITIES = ['INFO', 'WARN', 'CRITICAL'] as const
const TYPES = ['FILE', 'NETWORK', 'PROCESS'] as const

/** An alert as it is sent, with every field known. */
export interface PlannedAlert extends NewAlert {
  readonly alertId: string
  readonly timestamp: Date
  readonly eventDetail: { readonly writer: number; readonly number: number; readonly text: string } | null
  readonly receivedAt: Date | null
}

/** @param origin when the run began, in milliseconds since 1970. It must be the same at every sending. */
export function plannedAlert(origin: number, writer: number, number: number): PlannedAlert {
  return {
    alertId: alertIdOf(writer, number),
    hostId: isOfUnknownHost(number) ? UNKNOWN_HOST_ID : (HOST_IDS[number % 3] ?? HOST_IDS[0]),
    timestamp: new Date(origin + number),
    tripwireType: TYPES[number % 3] ?? 'FILE',
    ruleName: `writer ${writer} alert ${number}`,
    eventDetail: number % 4 === 0 ? null : { writer, number, text: 'ä'.repeat(detailLength(number)) },
    severity: SEVERITIES[number % 3] ?? 'INFO',
    receivedAt: hasReceivedAt(number) ? new Date(origin - 40 * DAY_MS + number) : null,
  }
}

export function alertIdOf(writer: number, number: number): string {
  return `${hex(writer, 8)}-0000-4000-8000-${hex(number, 12)}`
}

/** The writer and the number of an id; `undefined` when no writer gives such an id. */
export function parseAlertId(
  alertId: string,
): { readonly writer: number; readonly number: number } | undefined {
  const match = /^([0-9a-f]{8})-0000-4000-8000-([0-9a-f]{12})$/.exec(alertId)
  if (!match) return undefined
  return { writer: Number.parseInt(match[1] ?? '', 16), number: Number.parseInt(match[2] ?? '', 16) }
}

/** Must become a dead letter. In runs, because one of them takes its whole batch onto the slow path. */
export function isOfUnknownHost(number: number): boolean {
  return Math.floor(number / 64) % 8 === 3 && number % 16 === 0
}

/** Brings its own `receivedAt`, in an earlier month. In runs, because a mixed batch goes the slow path. */
function hasReceivedAt(number: number): boolean {
  return Math.floor(number / 512) % 6 === 4
}

function detailLength(number: number): number {
  return number % 50 === 1 ? 2000 : number % 60
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
