import { TripwireStorageError } from '../errors.ts'
import type { QueryRunner } from '../pg/database.ts'
import {
  findDifferences,
  findMissingDefaults,
  type MissingDefault,
  type TableDifference,
} from './compare-tables.ts'
import type { Migration } from './migration-files.ts'
import { readTables } from './read-tables.ts'
import { TABLE_SHAPES } from './table-shapes.ts'

/** Tables of ours that no migration is recorded of: made by hand, or by another tool. */
export interface UnrecordedTables {
  /** The version that `migrateUp` records for them, when they fit. */
  readonly version: number
  /** Why they do not fit; empty when they do. */
  readonly differences: readonly TableDifference[]
}

export interface AdoptableTables extends UnrecordedTables {
  readonly migrations: readonly Migration[]
  readonly missingDefaults: readonly MissingDefault[]
}

/** What migrations after 004 make. Where it stands, the record of the version was lost. */
const MADE_LATER = ['alert_dead_letters', 'schema_compatibility']

/**
 * Looks for tables of migrations 001 to 004 in a database that nothing is recorded in, without changing anything.
 * @returns `undefined` when there are none, or when `migrations` are others than ours.
 */
export async function findUnrecordedTables(
  db: QueryRunner,
  migrations: readonly Migration[],
): Promise<AdoptableTables | undefined> {
  if (TABLE_SHAPES.some((shape, index) => migrations[index]?.name !== shape.migration)) return undefined
  const found = await readTables(db, {
    tables: [...TABLE_SHAPES.map(shape => shape.table), ...MADE_LATER],
    enums: TABLE_SHAPES.flatMap(shape => Object.keys(shape.enums)),
  })
  const newest = TABLE_SHAPES.findLastIndex(shape => found.relations.has(shape.table))
  if (newest < 0) return undefined
  const shapes = TABLE_SHAPES.slice(0, newest + 1)
  const madeLater = MADE_LATER.filter(name => found.relations.has(name))
  return {
    version: shapes.length,
    differences: [
      ...findDifferences(shapes, found),
      ...madeLater.map(object => ({
        object,
        expected: 'nothing, because a migration after 004 makes it',
        found: 'a table',
      })),
    ],
    migrations: migrations.slice(0, shapes.length),
    missingDefaults: findMissingDefaults(shapes, found),
  }
}

/** @throws TripwireStorageError MIGRATION_HISTORY, with every difference in its message. */
export function requireFittingTables({ version, differences }: UnrecordedTables): void {
  if (differences.length === 0) return
  const texts = differences.map(
    ({ object, expected, found }) => `${object}: expected ${expected}, found ${found}`,
  )
  throw new TripwireStorageError(
    'MIGRATION_HISTORY',
    `no migration is recorded, and the tables that stand there are not those of version ${version}: ${texts.join('; ')}`,
    { hint: 'docs/operations/adopt-a-database.md shows how to mend each; nothing was changed' },
  )
}
