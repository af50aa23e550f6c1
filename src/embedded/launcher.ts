import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TripwireStorageError } from '../errors.ts'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import type { DataFolder } from './data-folder.ts'

const run = promisify(execFile)

/**
 * The rights that let an account pass through folders which are closed to it, the weaker one first.
 * Containers often lack the first and have the second.
 */
const CAPABILITIES = ['dac_read_search', 'dac_override'] as const
type Capability = (typeof CAPABILITIES)[number]

/** How the programs of PostgreSQL are started: under which account, with which extra right. */
export interface Launcher {
  readonly account: Account | undefined
  readonly capability: Capability | undefined
}

export interface LaunchOptions {
  readonly cwd: string
  /** A file descriptor for all output. */
  readonly output: number
  /** Its own session: a Ctrl-C at the terminal does not reach it. */
  readonly detached: boolean
}

/** Starts a program. The caller must listen to `error` and `exit` at once. */
export function launch(
  launcher: Launcher,
  file: string,
  args: readonly string[],
  { cwd, output, detached }: LaunchOptions,
): ChildProcess {
  const command = commandFor(launcher, file, args)
  const stdio: ['ignore', number, number] = ['ignore', output, output]
  return spawn(command.file, command.args, { ...command.identity, cwd, detached, stdio, windowsHide: true })
}

/**
 * Finds out how the account reaches both the programs and the data. Root may hold them in a folder that others
 * cannot enter, such as a clone in /root; only then the programs get an extra right.
 * @throws TripwireStorageError EMBEDDED_START_FAILED when there is no way.
 */
export async function chooseLauncher(binaries: Binaries, folder: DataFolder): Promise<Launcher> {
  const { account } = folder
  if (account === undefined) return { account, capability: undefined }
  let failure: unknown
  for (const capability of [undefined, ...CAPABILITIES]) {
    const launcher: Launcher = { account, capability }
    try {
      await checkReach(launcher, binaries, folder)
      return launcher
    } catch (error) {
      failure = error
    }
  }
  throw new TripwireStorageError(
    'EMBEDDED_START_FAILED',
    `PostgreSQL does not run as root, and the account ${account.name} does not reach ${binaries.binDir} or ${folder.dataDir}`,
    {
      cause: failure,
      hint: 'install setpriv (util-linux), or choose a data folder and an installation that all may enter, or use a server of your own by its URL',
    },
  )
}

/** A file that initdb reads: the folder `share` must be within reach as well. A system lays it out in its own way. */
function sharedFile({ binDir }: Binaries): string {
  const path = join(binDir, '..', 'share', 'postgresql', 'postgres.bki')
  return existsSync(path) ? path : '/dev/null'
}

async function checkReach(launcher: Launcher, binaries: Binaries, folder: DataFolder): Promise<void> {
  const script = 'cd "$1" && cat "$2" >/dev/null && exec "$0" --version'
  const args = ['-c', script, binaries.postgres, folder.dataDir, sharedFile(binaries)]
  const command = commandFor(launcher, '/bin/sh', args)
  await run(command.file, command.args, { ...command.identity, cwd: '/' })
}

interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly identity: { readonly uid?: number; readonly gid?: number }
}

function commandFor({ account, capability }: Launcher, file: string, args: readonly string[]): Command {
  if (account === undefined) return { file, args, identity: {} }
  const { uid, gid } = account
  if (capability === undefined) return { file, args, identity: { uid, gid } }
  return {
    file: 'setpriv',
    args: [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      // Without this, access(2) does not count the right, and PostgreSQL asks access(2) for its own programs.
      '--securebits=+no_setuid_fixup',
      '--',
      file,
      ...args,
    ],
    identity: {},
  }
}
