import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whether the system knows the process id. A process that ended, but was not collected by its parent, counts. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Whether the process still runs. In containers whose first process collects no children, an ended process keeps
 * its id for ever, so there the state counts.
 */
export function processRuns(pid: number): boolean {
  if (!processExists(pid)) return false
  if (process.platform !== 'linux') return true
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before the state stands in parentheses and may hold some itself.
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')))
  } catch {
    return processExists(pid)
  }
}

/** Asks a PostgreSQL server to shut down: `fast` writes a checkpoint, `immediate` leaves recovery to the next start. */
export async function requestShutdown(pid: number, mode: 'fast' | 'immediate', pgCtl: string): Promise<void> {
  const signal = mode === 'fast' ? 'SIGINT' : 'SIGQUIT'
  if (process.platform === 'win32') {
    // Windows has no signals; pg_ctl speaks to the substitute that PostgreSQL has for them.
    await run(pgCtl, ['kill', signal.slice('SIG'.length), String(pid)], { windowsHide: true }).catch(
      () => undefined,
    )
    return
  }
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (processExists(pid)) throw error
  }
}
