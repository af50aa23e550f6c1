import { inspect } from 'node:util'
import { InvalidInputError } from '../../errors.ts'
import type { AcceptedAlert } from '../../model/accepted-alert.ts'
import { RawJson } from '../../model/raw-json.ts'
import { rawMember } from '../../model/raw-member.ts'

/**
 * An alert as one line of JSON, every digit of `eventDetail` kept. What is SQL NULL is left out, so that JSON null can
 * be told from it.
 */
export function acceptedAlertJson(alert: AcceptedAlert): string {
  const { eventDetail, receivedAt, ...plain } = alert
  return withDetail(JSON.stringify(receivedAt === null ? plain : { ...plain, receivedAt }), eventDetail)
}

/** The same for what could not be read as an alert: as much of it as has a JSON form. */
export function unreadableAlertJson(alert: unknown): string {
  try {
    if (typeof alert === 'object' && alert !== null && 'eventDetail' in alert) {
      const { eventDetail, ...plain } = alert
      if (eventDetail instanceof RawJson) return withDetail(JSON.stringify(plain), eventDetail)
    }
    const text = JSON.stringify(alert)
    if (text !== undefined) return text
  } catch {
    // A cycle, a bigint, a getter that throws: no JSON form.
  }
  return JSON.stringify({
    notJson: inspect(alert, { depth: 4, maxStringLength: 10_000, maxArrayLength: 100 }),
  })
}

/**
 * The alert of such a line, to be parsed again.
 * @throws InvalidInputError when the line is not JSON.
 */
export function alertFromJson(text: string): unknown {
  let members: unknown
  try {
    members = JSON.parse(text)
  } catch (cause) {
    throw new InvalidInputError('alertJson', text, 'JSON text', { cause })
  }
  const detail = typeof members === 'object' && members !== null ? rawMember(text, 'eventDetail') : undefined
  return detail === undefined ? members : { ...Object(members), eventDetail: RawJson.fromText(detail) }
}

function withDetail(plain: string, eventDetail: RawJson | null): string {
  if (eventDetail === null) return plain
  const separator = plain === '{}' ? '' : ','
  return `${plain.slice(0, -1)}${separator}"eventDetail":${eventDetail.text}}`
}
