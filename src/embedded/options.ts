import { resolve } from 'node:path'
import { InvalidInputError } from '../errors.ts'
import { parseInteger, parseObject, parseText } from '../model/input.ts'

/** The major versions of PostgreSQL that this library is tested with. */
export const POSTGRES_MAJORS = [15, 16, 17, 18] as const
export type PostgresMajor = (typeof POSTGRES_MAJORS)[number]

export const DEFAULT_MAJOR: PostgresMajor = 18
const DEFAULT_START_TIMEOUT_MS = 60_000
const LONGEST_START_TIMEOUT_MS = 3_600_000
const LONGEST_PATH = 4096
const LONGEST_SETTING = 8192

/** What `startEmbeddedPostgres` takes. */
export interface EmbeddedPostgresOptions {
  /** A folder for this server alone. It is created when it does not exist, and holds all that must survive. */
  readonly dataDir: string
  /** The major version of PostgreSQL. Defaults to 18, or to what `binDir` holds when that is given. */
  readonly version?: PostgresMajor | undefined
  /**
   * A folder with `initdb` and `postgres`, such as `/usr/lib/postgresql/15/bin`.
   * When it is given, the npm packages are not consulted, and `version`, if given, must agree with it.
   */
  readonly binDir?: string | undefined
  /** Settings of postgresql.conf by name, such as `{ fsync: 'off' }` in tests. They hold until the stop. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** How long the whole start may take, the first `initdb` included, in milliseconds. Defaults to 60000. */
  readonly startTimeoutMs?: number | undefined
}

export interface ParsedOptions {
  readonly dataDir: string
  readonly version: PostgresMajor | undefined
  readonly binDir: string | undefined
  readonly settings: ReadonlyMap<string, string>
  readonly startTimeoutMs: number
}

const OPTION_NAMES = ['dataDir', 'version', 'binDir', 'settings', 'startTimeoutMs'] as const

/** @throws InvalidInputError */
export function parseEmbeddedOptions(options: unknown): ParsedOptions {
  const given = parseObject('options', options, OPTION_NAMES)
  const { version, binDir, settings, startTimeoutMs } = given
  return {
    dataDir: resolve(parseText('dataDir', given.dataDir, LONGEST_PATH)),
    version: version === undefined ? undefined : parseMajor(version),
    binDir: binDir === undefined ? undefined : resolve(parseText('binDir', binDir, LONGEST_PATH)),
    settings: settings === undefined ? new Map() : parseSettings(settings),
    startTimeoutMs:
      startTimeoutMs === undefined
        ? DEFAULT_START_TIMEOUT_MS
        : parseInteger('startTimeoutMs', startTimeoutMs, 1, LONGEST_START_TIMEOUT_MS),
  }
}

function parseMajor(value: unknown): PostgresMajor {
  const found = POSTGRES_MAJORS.find(major => major === value)
  if (found === undefined) {
    throw new InvalidInputError('version', value, `one of ${POSTGRES_MAJORS.join(', ')}`)
  }
  return found
}

const SETTING_NAME = /^[a-z_.]+$/

/** This module sets these itself; another value would cut the server off from its owner. */
const RESERVED_SETTINGS: readonly string[] = [
  'config_file',
  'data_directory',
  'hba_file',
  'listen_addresses',
  'port',
  'unix_socket_directories',
]

function parseSettings(value: unknown): ReadonlyMap<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('settings', value, 'an object of names and texts')
  }
  const settings = new Map<string, string>()
  for (const [name, setting] of Object.entries(value)) {
    const field = `settings.${name}`
    if (!SETTING_NAME.test(name)) {
      throw new InvalidInputError(field, name, 'the name of a setting of postgresql.conf, in small letters')
    }
    if (RESERVED_SETTINGS.includes(name)) {
      throw new InvalidInputError(field, setting, 'a setting that the embedded server does not choose itself')
    }
    // Not parseText: empty text is a legal value of many settings.
    if (typeof setting !== 'string' || setting.length > LONGEST_SETTING || /[\0\r\n]/.test(setting)) {
      throw new InvalidInputError(field, setting, `one line of text of at most ${LONGEST_SETTING} characters`)
    }
    settings.set(name, setting)
  }
  return settings
}
