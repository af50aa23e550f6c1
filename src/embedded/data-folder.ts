import { randomUUID } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { TripwireStorageError } from '../errors.ts'
import { type Account, accountName, chooseAccount } from './account.ts'

/** The paths inside a data folder, and the account that owns them when this process is root. */
export interface DataFolder {
  readonly dataDir: string
  /** What PostgreSQL calls its data directory. */
  readonly clusterDir: string
  readonly passwordFile: string
  readonly logFile: string
  /** `undefined` when PostgreSQL runs under the account of this process. */
  readonly account: Account | undefined
}

/**
 * Creates the data folder when it does not exist, and checks that this process may use it.
 * @throws TripwireStorageError EMBEDDED_START_FAILED when it may not.
 */
export function openDataFolder(dataDir: string): DataFolder {
  const clusterDir = join(dataDir, 'cluster')
  try {
    // In two steps, so that the folders above are not closed to the account that PostgreSQL runs under.
    mkdirSync(dirname(dataDir), { recursive: true })
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new TripwireStorageError('EMBEDDED_START_FAILED', `the data folder ${dataDir} cannot be created`, {
      cause,
      hint: 'choose a data folder that this account may write to',
    })
  }
  checkAccess(dataDir)
  checkOwner(clusterDir)
  const account = chooseAccount(dataDir, clusterDir)
  // Only a folder without content is taken for one of our own: it might be /root, given by mistake.
  if (account !== undefined && readdirSync(dataDir).length === 0) {
    lchownSync(dataDir, account.uid, account.gid)
    chmodSync(dataDir, 0o700)
  }
  return {
    dataDir,
    clusterDir,
    passwordFile: join(dataDir, 'password'),
    logFile: join(dataDir, 'server.log'),
    account,
  }
}

/** A path in the data folder for something incomplete. What a killed process left there is removed by the next. */
export function temporaryPath({ dataDir }: DataFolder): string {
  return join(dataDir, `${TEMPORARY_PREFIX}${randomUUID()}`)
}

const TEMPORARY_PREFIX = 'tmp-'

export function removeTemporaries({ dataDir }: DataFolder): void {
  for (const name of readdirSync(dataDir)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue
    try {
      rmSync(join(dataDir, name), { recursive: true, force: true })
    } catch {
      // An initdb whose owner was killed may still be writing there. The next start removes the rest.
    }
  }
}

/** Hands one entry to the account that PostgreSQL runs under. Links are not followed: root would be led astray. */
export function giveToAccount({ account }: DataFolder, path: string): void {
  if (account !== undefined && existsSync(path)) lchownSync(path, account.uid, account.gid)
}

/** Hands a cluster to the account when root owns it, as after a copy of the folder by root. */
export function giveClusterToAccount(folder: DataFolder): void {
  if (folder.account === undefined || statSync(folder.clusterDir).uid === folder.account.uid) return
  const entries = readdirSync(folder.clusterDir, { recursive: true, encoding: 'utf8' })
  for (const entry of entries)
    lchownSync(join(folder.clusterDir, entry), folder.account.uid, folder.account.gid)
  // Some ways to copy open the folder to all, which PostgreSQL refuses.
  chmodSync(folder.clusterDir, 0o700)
  // Last, so that a process killed in between leaves the work to be done again.
  lchownSync(folder.clusterDir, folder.account.uid, folder.account.gid)
}

function checkAccess(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw notOwned(path, cause)
  }
}

/** PostgreSQL refuses a cluster of another account, whatever its mode. */
function checkOwner(clusterDir: string): void {
  const uid = process.getuid?.()
  const stats = statSync(clusterDir, { throwIfNoEntry: false })
  if (uid === undefined || uid === 0 || stats === undefined || stats.uid === uid) return
  throw notOwned(clusterDir)
}

function notOwned(path: string, cause?: unknown): TripwireStorageError {
  const owner = accountName(statSync(path).uid)
  return new TripwireStorageError(
    'EMBEDDED_START_FAILED',
    `${path} belongs to ${owner}; this account may not use it`,
    {
      cause,
      hint: `run as ${owner}, or choose another data folder`,
    },
  )
}
