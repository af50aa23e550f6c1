import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface Measurement {
  readonly rows: number
  readonly seconds: number
  /** User and system time of this process. */
  readonly cpuMicros: number
}

/** What is measured: `work` alone lies in the window. */
export interface Run {
  work(): Promise<void>
  close(): Promise<void>
}

export async function measure(rows: number, work: () => Promise<void>): Promise<Measurement> {
  collectGarbage()
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  await work()
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return { rows, seconds, cpuMicros: user + system }
}

export function rowsPerSecond({ rows, seconds }: Measurement): number {
  return rows / seconds
}

export function cpuMicrosPerRow({ rows, cpuMicros }: Measurement): number {
  return cpuMicros / rows
}

/** What the preparation left behind must not be charged to the window. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}
