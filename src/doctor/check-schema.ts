import { type ErrorCode, TripwireStorageError } from '../errors.ts'
import { readMigrations } from '../migrate/migration-files.ts'
import { requireSchema } from '../migrate/require-schema.ts'
import { findSchemaDrift, type SchemaDifference } from '../migrate/schema-drift.ts'
import { readSchemaVersion, VERSION_TABLE } from '../migrate/schema-version.ts'
import type { QueryRunner } from '../pg/database.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'

/** What `requireSchema` refuses a database for, and what mends it. */
const REFUSALS: Partial<Record<ErrorCode, (error: TripwireStorageError) => string>> = {
  // The hint is the command, but where another schema may be meant.
  NOT_MIGRATED: error => error.hint?.replace(/^run: /, '') ?? 'tripwire-storage migrate up',
  MIGRATION_DIRTY: () => `UPDATE ${VERSION_TABLE} SET dirty = false;`,
  SCHEMA_TOO_NEW: () => 'npm install tripwire-storage@latest',
}

const MEANINGS: Partial<Record<ErrorCode, string>> = {
  NOT_MIGRATED: 'no store opens on it',
  MIGRATION_DIRTY:
    'no store opens on it; look at what the migration did and undo or finish it, before the mark is taken away',
  SCHEMA_TOO_NEW: 'this version refuses it; update it, or undo the newer migrations with the newer version',
}

export async function checkSchemaVersion({ ask }: CheckContext): Promise<CheckOutcome> {
  try {
    const version = await ask(requireSchema)
    return { message: `version ${version}`, details: { version } }
  } catch (error) {
    if (!(error instanceof TripwireStorageError)) throw error
    const mend = REFUSALS[error.code]?.(error)
    if (mend === undefined) throw error
    const message = `${error.message}: ${MEANINGS[error.code]}`
    return {
      message: error.message,
      findings: [{ subject: null, message, mend, details: { code: error.code } }],
    }
  }
}

export async function checkSchemaDrift({ ask }: CheckContext): Promise<CheckOutcome> {
  const outcome = await ask(async transaction => {
    const unknown = await whyNotComparable(transaction)
    return unknown ?? (await findSchemaDrift(transaction))
  })
  if (typeof outcome === 'string') return { message: outcome, isUnchecked: true }
  return {
    message:
      outcome.length === 0
        ? 'as the migrations make it'
        : `${counted(outcome.length, 'object')} not as the migrations make them`,
    findings: outcome.map(driftFinding),
  }
}

/** Only the newest version is described. */
async function whyNotComparable(transaction: QueryRunner): Promise<string | undefined> {
  const newest = (await readMigrations()).length
  const { version, dirty } = await readSchemaVersion(transaction)
  if (version === newest && !dirty) return undefined
  return `db/schema.sql describes version ${newest}, and the database is at ${version}${dirty ? ', dirty' : ''}`
}

function driftFinding({
  kind,
  object,
  expected,
  found,
  firstDifference,
  mend,
}: SchemaDifference): NewFinding {
  const details = { kind, expected, found, firstDifference: firstDifference && { ...firstDifference } }
  return { subject: object, message: driftMessage(kind, object, firstDifference), mend, details }
}

function driftMessage(
  kind: SchemaDifference['kind'],
  object: string,
  difference: SchemaDifference['firstDifference'],
): string {
  if (kind === 'missing') return `${object} is not there, and statements of the library rely on it`
  if (kind === 'unexpected') {
    return `${object} was made by no migration: it may refuse or change what the library writes`
  }
  const sides = difference ? `: expected "${difference.expected}", found "${difference.found}"` : ''
  return `${object} is not what the migrations make${sides}`
}
