import { join } from 'node:path'
import { TripwireStorageError } from '../errors.ts'
import {
  type FolderLock,
  LOCK_FILE,
  LOCK_PID_FILE,
  lockFolder,
  readLockHolder,
} from '../files/folder-lock.ts'
import { findBinaries } from './binaries.ts'
import { checkClusterVersion, ensureCluster, type StartContext } from './cluster.ts'
import { type DataFolder, giveToAccount, openDataFolder, removeTemporaries } from './data-folder.ts'
import { Deadline } from './deadline.ts'
import { launchServer } from './launch-server.ts'
import { chooseLauncher } from './launcher.ts'
import { type EmbeddedPostgresOptions, parseEmbeddedOptions } from './options.ts'
import { type EmbeddedPostgres, OwnedServer } from './server.ts'
import { ServerLog } from './server-log.ts'

/**
 * Starts a PostgreSQL server in a folder and waits until it takes connections. The first start in a folder makes
 * the cluster, the password and the database `tripwire`; later starts find the data as they were, also after a
 * crash of the server, of this process or of both. A server whose owner was killed is shut down first.
 *
 * One process at a time owns a folder. The server listens on 127.0.0.1 only. As root, PostgreSQL runs under the
 * account that owns the folder, else under `postgres`, else under `nobody`.
 *
 * No signal handler is installed, and a Ctrl-C at the terminal does not reach the server: the caller decides when
 * to call `stop`. A process that ends without it leaves the server running until the next start in the folder.
 *
 * @throws InvalidInputError INVALID_INPUT, UNKNOWN_OPTION
 * @throws TripwireStorageError EMBEDDED_NOT_INSTALLED: the hint is the command that installs the version.
 * @throws TripwireStorageError EMBEDDED_IN_USE: another process, or this one, has a server in the folder.
 * @throws TripwireStorageError EMBEDDED_WRONG_VERSION: the folder holds the data of another major version.
 * @throws TripwireStorageError EMBEDDED_START_FAILED: nothing is left running.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const parsed = parseEmbeddedOptions(options)
  const deadline = new Deadline(parsed.startTimeoutMs)
  const binaries = await findBinaries(parsed)
  const folder = openDataFolder(parsed.dataDir)
  const lock = takeLock(folder)
  try {
    checkClusterVersion(folder, binaries)
    const launcher = await chooseLauncher(binaries, folder)
    removeTemporaries(folder)
    const log = new ServerLog(folder)
    try {
      const context: StartContext = { binaries, folder, launcher, log, settings: parsed.settings, deadline }
      const password = await ensureCluster(context)
      return new OwnedServer(context, await launchServer(context, password), lock)
    } finally {
      log.close()
    }
  } catch (error) {
    lock.release()
    throw asStartFailure(error, folder)
  }
}

function takeLock(folder: DataFolder): FolderLock {
  const { dataDir } = folder
  let lock: FolderLock | null
  try {
    lock = lockFolder(dataDir)
  } catch (error) {
    throw asStartFailure(error, folder)
  }
  if (lock !== null) {
    giveToAccount(folder, join(dataDir, LOCK_FILE))
    giveToAccount(folder, join(dataDir, LOCK_PID_FILE))
    return lock
  }
  const pid = readLockHolder(dataDir)
  const other = pid === undefined ? 'another process' : `process ${pid}`
  const holder = pid === process.pid ? `this process (${pid})` : other
  throw new TripwireStorageError('EMBEDDED_IN_USE', `${holder} runs a PostgreSQL server in ${dataDir}`, {
    hint: `stop ${pid === process.pid ? 'that server' : 'that process'} or use another data folder`,
  })
}

/** Errors of the file system, such as a full disk, come with the same code as the server's own refusals. */
function asStartFailure(error: unknown, { dataDir }: DataFolder): TripwireStorageError {
  if (error instanceof TripwireStorageError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new TripwireStorageError(
    'EMBEDDED_START_FAILED',
    `PostgreSQL in ${dataDir} did not start: ${reason}`,
    {
      cause: error,
      hint: `check that ${dataDir} can be written and that its disk has space`,
    },
  )
}
