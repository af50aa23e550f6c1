import type { NewAlert } from '../model/alert.ts'

/** The formats that can be read. */
export const SENSOR_FORMATS = ['alert', 'sysmon'] as const
export type SensorFormat = (typeof SENSOR_FORMATS)[number]

/** The host an alert belongs to: by name, as a sensor knows it, or by the id of a registered host. */
export type SensorHost =
  | { readonly hostname: string; readonly platform?: string }
  | { readonly hostId: string }

/** What one line of a sensor's log became. */
export type SensorResult =
  | { readonly kind: 'alert'; readonly host: SensorHost; readonly alert: Omit<NewAlert, 'hostId'> }
  | { readonly kind: 'skipped'; readonly reason: string }

/** Reads one sensor's log format. */
export interface SensorAdapter {
  readonly format: SensorFormat
  /**
   * Reads one line. The alert's id depends on the line alone, so reading it again gives the same id.
   * @throws InvalidInputError when the line cannot be read.
   */
  readLine(line: string): SensorResult
}
