import type { Alert } from '../../model/alert.ts'

/** SQL NULL leaves the member out, so that JSON null can be told from it. `ingest` reads it in the same way. */
export function alertJson(alert: Alert): object {
  return { ...alert, eventDetail: alert.eventDetail ?? undefined }
}
