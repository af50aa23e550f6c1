import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { TripwireStorageError } from '../errors.ts'
import type { Binaries } from './binaries.ts'
import { USER } from './connection.ts'
import { type DataFolder, giveClusterToAccount, giveToAccount, temporaryPath } from './data-folder.ts'
import type { Deadline } from './deadline.ts'
import { type Launcher, launch } from './launcher.ts'
import { describeEnd, ManagedProcess } from './managed-process.ts'
import { POSTGRES_MAJORS } from './options.ts'
import { installHint } from './platform-package.ts'
import type { ServerLog } from './server-log.ts'

/** All that starting a server in a data folder needs. */
export interface StartContext {
  readonly binaries: Binaries
  readonly folder: DataFolder
  readonly launcher: Launcher
  readonly log: ServerLog
  readonly settings: ReadonlyMap<string, string>
  readonly deadline: Deadline
}

/**
 * Checks that the programs fit the data that the folder holds, if any.
 * @throws TripwireStorageError EMBEDDED_WRONG_VERSION, or EMBEDDED_START_FAILED when the data are not a cluster.
 */
export function checkClusterVersion({ clusterDir }: DataFolder, binaries: Binaries): void {
  if (!existsSync(clusterDir)) return
  let found: string
  try {
    found = readFileSync(join(clusterDir, 'PG_VERSION'), 'utf8').trim()
  } catch (cause) {
    throw new TripwireStorageError(
      'EMBEDDED_START_FAILED',
      `${clusterDir} does not hold a PostgreSQL cluster`,
      {
        cause,
        hint: 'restore it from a backup, or choose another data folder',
      },
    )
  }
  if (found === String(binaries.major)) return
  const major = POSTGRES_MAJORS.find(known => String(known) === found)
  const start = major === undefined ? '' : `ask for version ${major} (${installHint(major)}), or `
  throw new TripwireStorageError(
    'EMBEDDED_WRONG_VERSION',
    `${clusterDir} holds the data of PostgreSQL ${found}, not of ${binaries.major}`,
    { hint: `${start}choose another data folder` },
  )
}

/**
 * Makes the cluster when the folder has none. It is made under another name and renamed when it is complete, so
 * whatever ends the process in between leaves nothing in the way of the next start.
 * @returns the password of the account `postgres` of the server.
 */
export async function ensureCluster(context: StartContext): Promise<string> {
  const { folder } = context
  if (existsSync(folder.clusterDir)) {
    giveClusterToAccount(folder)
    return readPassword(folder)
  }
  const password = writePassword(folder)
  const temporary = temporaryPath(folder)
  mkdirSync(temporary, { mode: 0o700 })
  giveToAccount(folder, temporary)
  try {
    await runInitdb(context, temporary)
    renameSync(temporary, folder.clusterDir)
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
  syncFolder(folder.dataDir)
  return password
}

const PASSWORD_BYTES = 24

function writePassword(folder: DataFolder): string {
  const password = randomBytes(PASSWORD_BYTES).toString('base64url')
  const temporary = temporaryPath(folder)
  writeFileSync(temporary, `${password}\n`, { flag: 'wx', mode: 0o600, flush: true })
  giveToAccount(folder, temporary)
  renameSync(temporary, folder.passwordFile)
  return password
}

function readPassword({ passwordFile }: DataFolder): string {
  try {
    return readFileSync(passwordFile, 'utf8').trim()
  } catch (cause) {
    throw new TripwireStorageError('EMBEDDED_START_FAILED', `the password of the server cannot be read`, {
      cause,
      hint: `restore ${passwordFile} from a backup, or choose another data folder`,
    })
  }
}

const INITDB_STOP_MS = 5_000

async function runInitdb(
  { binaries, folder, launcher, log, settings, deadline }: StartContext,
  target: string,
): Promise<void> {
  const args = ['-D', target, `--username=${USER}`, `--pwfile=${folder.passwordFile}`, '--auth=scram-sha-256']
  args.push('--encoding=UTF8', '--locale=C', '--no-instructions')
  if (settings.get('fsync') === 'off') args.push('--no-sync')
  const options = { cwd: target, output: log.descriptor, detached: false }
  const initdb = new ManagedProcess(launch(launcher, binaries.initdb, args, options))
  const end = await initdb.endWithin(deadline.remainingMs)
  if (end?.code === 0) return
  if (end === undefined) {
    initdb.kill('SIGTERM')
    if ((await initdb.endWithin(INITDB_STOP_MS)) === undefined) initdb.kill('SIGKILL')
    await initdb.ended
  }
  const reason = end === undefined ? 'did not finish in time' : describeEnd(end)
  throw new TripwireStorageError('EMBEDDED_START_FAILED', `initdb ${reason}: ${log.lastLines()}`, {
    cause: end?.error,
    hint: end === undefined ? `raise startTimeoutMs; the log is ${log.path}` : `the log is ${log.path}`,
  })
}

/** Makes the rename last through a power cut. Windows cannot open folders. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
