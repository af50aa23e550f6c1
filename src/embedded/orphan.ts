import { execFile } from 'node:child_process'
import { readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { TripwireStorageError } from '../errors.ts'
import type { StartContext } from './cluster.ts'
import { readDataDirectory } from './connection.ts'
import { Deadline, pollUntil } from './deadline.ts'
import { type PostmasterFile, postmasterFilePath, readPostmasterFile } from './postmaster-file.ts'
import { processExists, processRuns, requestShutdown } from './process-status.ts'

const run = promisify(execFile)

const INCOMPLETE_FILE_MS = 1_000
const FAST_SHUTDOWN_MS = 20_000
const IMMEDIATE_SHUTDOWN_MS = 10_000

/**
 * Clears what an owner that was killed left behind: its server, which is shut down, or only the file of it.
 * The caller holds the lock of the folder, so no owner is alive. No process gets a signal unless it is known to be
 * the server of this folder: its id may belong to any other process by now.
 * @throws TripwireStorageError EMBEDDED_IN_USE when it cannot be told whose the process is, or it does not end.
 */
export async function removeOrphan(context: StartContext, password: string): Promise<void> {
  const { clusterDir } = context.folder
  const path = postmasterFilePath(clusterDir)
  // A server that was started this instant may not have filled its file yet.
  await pollUntil(() => readPostmasterFile(clusterDir) !== null, new Deadline(INCOMPLETE_FILE_MS))
  const file = readPostmasterFile(clusterDir)
  if (file === null) rmSync(path, { force: true })
  // PostgreSQL itself recognises the file of a process that is gone, and that of its single-user mode.
  if (!file || file.pid < 0 || !processExists(file.pid)) return
  const identity = processRuns(file.pid) ? await identify(file, clusterDir, password) : 'another'
  if (identity === 'another') {
    rmSync(path, { force: true })
  } else if (identity === 'ours') {
    await shutDown(file.pid, context)
  } else {
    throw new TripwireStorageError(
      'EMBEDDED_IN_USE',
      `${path} names process ${file.pid}, which may be a PostgreSQL server in this folder`,
      { hint: `stop process ${file.pid} if it is such a server; if it is not, remove ${path}` },
    )
  }
}

type Identity = 'ours' | 'another' | 'unknown'

async function identify(file: PostmasterFile, clusterDir: string, password: string): Promise<Identity> {
  const seen = process.platform === 'linux' ? identifyByProc(file.pid, clusterDir) : 'unknown'
  if (seen !== 'unknown') return seen
  if (file.port !== undefined) {
    try {
      const directory = await readDataDirectory({ port: file.port, password })
      return realpathSync(directory) === realpathSync(clusterDir) ? 'ours' : 'another'
    } catch {
      // It may be starting or stopping: the name of the process is all that is left.
    }
  }
  return (await hasAnotherName(file.pid)) ? 'another' : 'unknown'
}

/** A PostgreSQL server works in its data directory. Compared by inode: the folder may have been renamed since. */
function identifyByProc(pid: number, clusterDir: string): Identity {
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres') return 'another'
    const cwd = statSync(`/proc/${pid}/cwd`, { bigint: true })
    const cluster = statSync(clusterDir, { bigint: true })
    return cwd.dev === cluster.dev && cwd.ino === cluster.ino ? 'ours' : 'another'
  } catch {
    return 'unknown'
  }
}

async function hasAnotherName(pid: number): Promise<boolean> {
  if (process.platform === 'win32') return false
  try {
    const { stdout } = await run('ps', ['-p', String(pid), '-o', 'comm='])
    return stdout.trim() !== '' && !stdout.includes('postgres')
  } catch {
    return false
  }
}

async function shutDown(pid: number, { binaries, folder }: StartContext): Promise<void> {
  for (const [mode, ms] of [
    ['fast', FAST_SHUTDOWN_MS],
    ['immediate', IMMEDIATE_SHUTDOWN_MS],
  ] as const) {
    await requestShutdown(pid, mode, binaries.pgCtl)
    if (await pollUntil(() => !processRuns(pid), new Deadline(ms))) return
  }
  throw new TripwireStorageError(
    'EMBEDDED_IN_USE',
    `a PostgreSQL server whose owner is gone, process ${pid}, runs in ${folder.dataDir} and does not stop`,
    { hint: `end it with "kill -9 ${pid}" and start again` },
  )
}
