import type { NewAlert } from '../model/alert.ts'

/** The formats that can be read. */
export const SENSOR_FORMATS = ['alert', 'sysmon'] as const
export type SensorFormat = (typeof SENSOR_FORMATS)[number]

/** The host an alert belongs to: by name, as a sensor knows it, or by the id of a registered host. */
export type SensorHost =
  | { readonly hostname: string; readonly platform?: string }
  | { readonly hostId: string }

/** An alert that always has its id. */
export type SensorAlert = Omit<NewAlert, 'hostId' | 'alertId'> & { readonly alertId: string }

/** What one line of a sensor's log became. */
export type SensorResult =
  | {
      readonly kind: 'alert'
      readonly host: SensorHost
      readonly alert: SensorAlert
      /**
       * `own`: the sensor numbers its events, so an equal line is the same event again. `content`: it does not, so an
       * equal line in the same input is another event, which needs an id of its own.
       */
      readonly identity: 'own' | 'content'
    }
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
