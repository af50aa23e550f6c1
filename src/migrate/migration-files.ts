import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidInputError, TripwireStorageError } from '../errors.ts'

/** The migrations that come with this package. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('../../db/migrations/', import.meta.url))

/** golang-migrate's rule for names: `NNN_name.up.sql` and `NNN_name.down.sql`. */
const FILE_NAME = /^(\d+)_(.+)\.(up|down)\.sql$/

export interface Migration {
  readonly version: number
  readonly name: string
  readonly upSql: string
  readonly downSql: string
}

/**
 * Reads every migration of a folder, in the order of their versions.
 * @throws TripwireStorageError MIGRATION_HISTORY when a half is missing or a version stands twice or is skipped.
 */
export async function readMigrations(dir: string = MIGRATIONS_DIR): Promise<readonly Migration[]> {
  const halves = new Map<number, { name: string; up?: string; down?: string }>()
  for (const file of await listFiles(dir)) {
    const [, digits, name, direction] = FILE_NAME.exec(file) ?? []
    if (digits === undefined || name === undefined || (direction !== 'up' && direction !== 'down')) continue
    const half = halves.get(Number(digits)) ?? { name }
    if (half.name !== name || half[direction] !== undefined) {
      throw historyError(`version ${Number(digits)} stands twice: ${half.name} and ${name}`)
    }
    halves.set(Number(digits), { ...half, [direction]: await readFile(join(dir, file), 'utf8') })
  }
  const migrations = [...halves].map(([version, { name, up, down }]) => {
    if (up === undefined || down === undefined) {
      throw historyError(`version ${version} (${name}) has no ${up === undefined ? 'up' : 'down'} file`)
    }
    return { version, name, upSql: up, downSql: down }
  })
  migrations.sort((a, b) => a.version - b.version)
  migrations.forEach(({ version }, index) => {
    if (version !== index + 1) throw historyError(`version ${index + 1} is missing`)
  })
  return migrations
}

async function listFiles(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).sort()
  } catch (cause) {
    throw new InvalidInputError('migrationsDir', dir, 'a folder that can be read', { cause })
  }
}

function historyError(problem: string): TripwireStorageError {
  return new TripwireStorageError('MIGRATION_HISTORY', `the migration files do not fit: ${problem}`)
}
