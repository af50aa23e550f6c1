import type { JsonValue } from '../model/raw-json.ts'

/** What each check looks for. A name that was published keeps its meaning. `docs/operations/doctor.md` is tested against it. */
export const CHECKS = {
  'schema-version': 'Whether the schema is the one that this version of the library works on.',
  'schema-drift': 'Whether tables, indexes, functions and triggers are what the migrations give.',
  'session-settings':
    'Whether settings of the role, the database or the server keep writers or triggers from working.',
  'missing-month': 'Whether this month and every one up to the newest has a partition.',
  'short-horizon': 'For how many days from now there are partitions.',
  'default-partition': 'Whether there is a DEFAULT partition.',
  'pending-detach': 'Whether the detachment of a partition was cut half way.',
  'incomplete-partition': 'Whether every partition has the unique index and the triggers.',
  'misaligned-partition': 'Whether the bounds of every partition are those of one month in UTC.',
  'not-a-table': 'Whether a partition is a foreign table, or partitioned itself.',
  'foreign-owner': 'Whether every partition belongs to the role that alerts belongs to.',
  'unlogged-partition': 'Whether a partition is UNLOGGED, so that a crash empties it.',
  'disabled-trigger': 'Whether triggers of a partition do not fire.',
  'table-in-the-way': 'Whether a table that is no partition has the name of a month.',
  'table-set-aside': 'Whether alerts are left in tables that a mend put aside.',
  'far-future': 'Whether partitions or alerts lie in the far future.',
  'retention-lag': 'Whether months are there that the retention should have taken out.',
  'unfinished-retirement': 'Whether months that are on their way out do not get there.',
  'alert-counts': 'Whether the counts that timelines are made from keep up.',
  'alert-journal': 'Whether the journal that tails read is pruned.',
  'clock-skew': 'Whether the clocks of this machine and of the server agree.',
  'dead-letters': 'Whether alerts that the database refused wait for somebody.',
  spool: 'Whether alerts wait in the spool, or some of it is damaged.',
  maintenance: 'Whether the maintenance ran lately, and without an error.',
} as const

export type CheckName = keyof typeof CHECKS

export const CHECK_NAMES = Object.keys(CHECKS).filter((name): name is CheckName =>
  Object.hasOwn(CHECKS, name),
)

export type CheckStatus = 'ok' | 'finding' | 'unchecked'

export type Details = Readonly<Record<string, JsonValue>>

/** Something that somebody should see to. */
export interface Finding {
  readonly name: CheckName
  /** What it is about, such as the name of a partition; `null` when it is about the database. */
  readonly subject: string | null
  /** What it means. */
  readonly message: string
  /** The command or the SQL that mends it. */
  readonly mend: string
  readonly details: Details
}

export interface Check {
  readonly name: CheckName
  /** `unchecked`: it could not be found out, and `message` says why. */
  readonly status: CheckStatus
  /** What was found out, in one line. */
  readonly message: string
  readonly findings: readonly Finding[]
  /** Numbers, also where there is no finding, such as `horizonDays`. */
  readonly details: Details
}

export interface Diagnosis {
  /** By the clock of this machine, RFC 3339 in UTC. */
  readonly checkedAt: string
  /** As the server names it, such as `15.13 (Debian 15.13-1.pgdg12+1)`. */
  readonly serverVersion: string
  /** One for each name of the closed list, in its order. */
  readonly checks: readonly Check[]
}
