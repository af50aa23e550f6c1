import { alertSensor } from './alert-sensor.ts'
import type { SensorAdapter, SensorFormat } from './sensor-adapter.ts'
import { sysmonSensor } from './sysmon-sensor.ts'

/** Every adapter, by the name of its format. */
export const SENSORS: { readonly [format in SensorFormat]: SensorAdapter } = {
  alert: alertSensor,
  sysmon: sysmonSensor,
}
