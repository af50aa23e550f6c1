import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { InvalidInputError, TripwireStorageError } from '../errors.ts'
import { DEFAULT_MAJOR, type ParsedOptions, POSTGRES_MAJORS, type PostgresMajor } from './options.ts'
import { installedPackageDirs, installHint } from './platform-package.ts'
import { makeMissingLinks } from './symlinks.ts'

const run = promisify(execFile)
const EXECUTABLE_SUFFIX = process.platform === 'win32' ? '.exe' : ''

/** The programs of one PostgreSQL installation. */
export interface Binaries {
  readonly binDir: string
  readonly initdb: string
  readonly postgres: string
  readonly pgCtl: string
  readonly major: PostgresMajor
  /** Such as `18.4`. */
  readonly version: string
}

/**
 * Finds the programs: in `binDir` when that is given, in the npm packages otherwise.
 * @throws InvalidInputError when `binDir` holds another version than the one asked for.
 * @throws TripwireStorageError EMBEDDED_NOT_INSTALLED
 */
export async function findBinaries({ binDir, version }: ParsedOptions): Promise<Binaries> {
  const wanted = version ?? DEFAULT_MAJOR
  if (binDir !== undefined) return inspectGivenBinDir(binDir, version, wanted)
  for (const packageDir of installedPackageDirs(wanted)) {
    makeMissingLinks(packageDir)
    const found = await inspectBinDir(join(packageDir, 'native', 'bin'), wanted)
    if (found?.major === wanted) return found
  }
  throw notInstalled(`PostgreSQL ${wanted} is not installed`, wanted)
}

async function inspectGivenBinDir(
  binDir: string,
  version: PostgresMajor | undefined,
  wanted: PostgresMajor,
): Promise<Binaries> {
  const found = await inspectBinDir(binDir, wanted)
  if (found === undefined) throw notInstalled(`${binDir} does not hold initdb and postgres`, wanted)
  if (version !== undefined && found.major !== version) {
    throw new InvalidInputError('version', version, `${found.major}, which is what ${binDir} holds`)
  }
  return found
}

async function inspectBinDir(binDir: string, wanted: PostgresMajor): Promise<Binaries | undefined> {
  const [initdb, postgres, pgCtl] = ['initdb', 'postgres', 'pg_ctl'].map(name =>
    join(binDir, name + EXECUTABLE_SUFFIX),
  )
  if (initdb === undefined || postgres === undefined || pgCtl === undefined) return undefined
  if (!existsSync(initdb) || !existsSync(postgres)) return undefined
  const version = await readVersion(postgres, wanted)
  const major = POSTGRES_MAJORS.find(known => known === Number.parseInt(version, 10))
  if (major === undefined) {
    const known = POSTGRES_MAJORS.join(', ')
    throw notInstalled(`${postgres} is PostgreSQL ${version}, which is not one of ${known}`, wanted)
  }
  return { binDir, initdb, postgres, pgCtl, major, version }
}

async function readVersion(postgres: string, wanted: PostgresMajor): Promise<string> {
  try {
    const { stdout } = await run(postgres, ['--version'], { windowsHide: true })
    return /\) (\d+\S*)/.exec(stdout)?.[1] ?? 'of an unknown version'
  } catch (cause) {
    // A program that exists and yet is "not found" lacks its loader: PostgreSQL for glibc on Alpine, for example.
    throw new TripwireStorageError('EMBEDDED_NOT_INSTALLED', `${postgres} does not run on this system`, {
      cause,
      hint: `install PostgreSQL ${wanted} with the package manager of the system and give the folder of its programs as binDir`,
    })
  }
}

function notInstalled(message: string, major: PostgresMajor): TripwireStorageError {
  return new TripwireStorageError('EMBEDDED_NOT_INSTALLED', message, { hint: installHint(major) })
}
