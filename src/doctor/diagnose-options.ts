import { parseInteger, parseObject, parseText } from '../model/input.ts'

/** Two months ahead cover at least this much. */
export const DEFAULT_MIN_HORIZON_DAYS = 31
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

const LONGEST_HORIZON_DAYS = 3650
const MOST_MONTHS = 1200
const LONGEST_WAIT_MS = 86_400_000
const LONGEST_PATH = 4096

export interface DiagnoseOptions {
  /** `postgres://user:password@host:5432/database`, a role that may read the tables and call `list_alert_partitions()`. */
  readonly connectionString: string
  /** The folder of a spool to look into. Without it, none is looked into. */
  readonly spoolDir?: string | undefined
  /** How many months shall be kept, 0 to 1,200. Defaults to what the retention was told when it ran last. */
  readonly keepMonths?: number | undefined
  /** For how many days ahead there must be partitions, 0 to 3,650. Defaults to 31. */
  readonly minHorizonDays?: number | undefined
  /** How long to wait for a connection, 1 to 86,400,000 ms. Defaults to 10,000. */
  readonly connectTimeoutMs?: number | undefined
}

export interface ParsedDiagnoseOptions {
  /** Checked where it is used. */
  readonly connectionString: string
  readonly spoolDir: string | undefined
  readonly keepMonths: number | undefined
  readonly minHorizonDays: number
  readonly connectTimeoutMs: number
}

const NAMES = [
  'connectionString',
  'spoolDir',
  'keepMonths',
  'minHorizonDays',
  'connectTimeoutMs',
] as const satisfies readonly (keyof DiagnoseOptions)[]

/** @throws InvalidInputError */
export function parseDiagnoseOptions(options: DiagnoseOptions): ParsedDiagnoseOptions {
  const given = parseObject('options', options, NAMES)
  return {
    connectionString: options.connectionString,
    spoolDir: given.spoolDir === undefined ? undefined : parseText('spoolDir', given.spoolDir, LONGEST_PATH),
    keepMonths:
      given.keepMonths === undefined
        ? undefined
        : parseInteger('keepMonths', given.keepMonths, 0, MOST_MONTHS),
    minHorizonDays: parseInteger(
      'minHorizonDays',
      given.minHorizonDays ?? DEFAULT_MIN_HORIZON_DAYS,
      0,
      LONGEST_HORIZON_DAYS,
    ),
    connectTimeoutMs: parseInteger(
      'connectTimeoutMs',
      given.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
      1,
      LONGEST_WAIT_MS,
    ),
  }
}
