import { renderSnapshot, takeSchemaSnapshot } from '../../src/migrate/schema-snapshot.ts'
import { Database } from '../../src/pg/database.ts'

export const SCHEMA_FILE = 'db/schema.sql'

const HEADER = `-- Generated from db/migrations by: npm run schema
-- The schema that all migrations give, the same on PostgreSQL 15 to 18. For reading and for review: a database is
-- made by the migrations, and \`npm run check\` fails when this file does not say what they give.

`

/** What db/schema.sql must say when the database was migrated. */
export async function schemaFileOf(connectionString: string): Promise<string> {
  const db = new Database({
    connectionString,
    maxConnections: 1,
    connectTimeoutMs: 10_000,
    applicationName: 'check-schema',
  })
  try {
    return HEADER + renderSnapshot(await db.transaction(takeSchemaSnapshot))
  } finally {
    await db.close()
  }
}
