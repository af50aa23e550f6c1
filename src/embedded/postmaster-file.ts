import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a PostgreSQL server writes about itself into `postmaster.pid`, since version 10. */
export interface PostmasterFile {
  /** Negative for a server that was started by hand in single-user mode. */
  readonly pid: number
  readonly port: number | undefined
  /** Whether the server takes connections. */
  readonly ready: boolean
}

export function postmasterFilePath(clusterDir: string): string {
  return join(clusterDir, 'postmaster.pid')
}

/** @returns `undefined` when there is no such file, `null` when it is not complete. */
export function readPostmasterFile(clusterDir: string): PostmasterFile | null | undefined {
  let text: string
  try {
    text = readFileSync(postmasterFilePath(clusterDir), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  const [pidLine = '', , , portLine = '', , , , statusLine = ''] = text.split('\n').map(line => line.trim())
  const pid = Number(pidLine)
  if (pidLine === '' || !Number.isSafeInteger(pid) || pid === 0) return null
  const port = Number(portLine)
  return { pid, port: port >= 1 && port <= 65_535 ? port : undefined, ready: statusLine === 'ready' }
}
