import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchAlert } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { connect } from '../support/connect.ts'
import type { Run } from '../support/measure.ts'
import { ALERT_COLUMNS } from './alert-columns.ts'
import { COPY_HEADER, COPY_TRAILER, encodeCopyRows } from './copy-rows.ts'

const ROWS_PER_WRITE = 5000

/**
 * The ceiling: the server reads alerts from files of its own, one backend a file, so that neither client nor network costs
 * anything.
 */
export async function openServerCopy(connectionString: string, paths: readonly string[]): Promise<Run> {
  const clients = await Promise.all(paths.map(() => connect(connectionString)))
  return {
    work: async () => {
      await Promise.all(clients.map((client, index) => client.query(copyFrom(paths[index] ?? ''))))
    },
    close: async () => {
      await Promise.all(clients.map(client => client.end()))
    },
  }
}

/** Writes alerts into files for COPY, in equal parts, and returns their paths. */
export async function writeCopyFiles(
  folder: string,
  alerts: readonly BenchAlert[],
  parts: number,
): Promise<readonly string[]> {
  const perFile = Math.ceil(alerts.length / parts)
  const paths = Array.from({ length: parts }, (_, part) =>
    join(folder, `alerts-${part + 1}-of-${parts}.copy`),
  )
  for (const [part, path] of paths.entries()) {
    await writeCopyFile(path, alerts.slice(part * perFile, (part + 1) * perFile))
  }
  return paths
}

/** @returns why the server cannot read files of ours, or undefined when it can. */
export async function whyNoServerCopy(database: BenchDatabase, probe: string): Promise<string | undefined> {
  await database.client.query('BEGIN')
  try {
    await database.client.query(copyFrom(probe))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await database.client.query('ROLLBACK')
  }
}

async function writeCopyFile(path: string, alerts: readonly BenchAlert[]): Promise<void> {
  const file = await open(path, 'w', 0o644)
  try {
    await file.write(COPY_HEADER)
    for (let start = 0; start < alerts.length; start += ROWS_PER_WRITE) {
      await file.write(encodeCopyRows(alerts.slice(start, start + ROWS_PER_WRITE)))
    }
    await file.write(COPY_TRAILER)
    // Written out now, not during a measurement.
    await file.sync()
  } finally {
    await file.close()
  }
}

function copyFrom(path: string): string {
  return `COPY alerts (${ALERT_COLUMNS}) FROM '${path.replaceAll("'", "''")}' (FORMAT binary)`
}
