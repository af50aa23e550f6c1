import { readFileSync, type Stats, statSync } from 'node:fs'
import { TripwireStorageError } from '../errors.ts'

/** An account of the operating system that PostgreSQL runs under. */
export interface Account {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

/** PostgreSQL refuses to run as root. */
function isRoot(): boolean {
  return process.getuid?.() === 0
}

/**
 * The account to run PostgreSQL under when this process is root: the owner of the cluster or of the data folder,
 * else `postgres`, else `nobody`.
 * @returns `undefined` when this process is not root; PostgreSQL then runs under its account.
 * @throws TripwireStorageError EMBEDDED_START_FAILED when there is no such account.
 */
export function chooseAccount(dataDir: string, clusterDir: string): Account | undefined {
  if (!isRoot()) return undefined
  const accounts = readAccounts()
  for (const path of [clusterDir, dataDir]) {
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats !== undefined && stats.uid !== 0) return ownerOf(stats, accounts)
  }
  for (const name of ['postgres', 'nobody']) {
    const found = accounts.find(account => account.name === name)
    if (found !== undefined) return found
  }
  throw new TripwireStorageError('EMBEDDED_START_FAILED', 'there is no account to run PostgreSQL under', {
    hint: 'PostgreSQL does not run as root: create the account with "useradd --system postgres", or run as another user',
  })
}

/** The name of an account for a message; its number where it has no name. */
export function accountName(uid: number): string {
  return uid === 0 ? 'root' : (readAccounts().find(account => account.uid === uid)?.name ?? `uid ${uid}`)
}

function ownerOf({ uid, gid }: Stats, accounts: readonly Account[]): Account {
  return accounts.find(account => account.uid === uid) ?? { uid, gid, name: `uid ${uid}` }
}

const LARGEST_ID = 2 ** 31 - 1

/** The accounts of /etc/passwd other than root. macOS gives `nobody` a negative number, which is no use here. */
function readAccounts(): readonly Account[] {
  let text: string
  try {
    text = readFileSync('/etc/passwd', 'utf8')
  } catch {
    return []
  }
  return text
    .split('\n')
    .map(line => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && uid <= LARGEST_ID && gid >= 0 && gid <= LARGEST_ID)
}
