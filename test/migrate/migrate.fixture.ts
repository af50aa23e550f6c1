/** Migrates in a process of its own: connection string and folder from the command line. Prints what it applied. */
import { migrateUp } from '../../src/index.ts'

const [connectionString = '', migrationsDir] = process.argv.slice(2)
const applied = await migrateUp({ connectionString, migrationsDir: migrationsDir || undefined })
process.stdout.write(JSON.stringify(applied.map(each => each.version)))
