import type { TestDatabase } from './test-database.ts'

/** The same database, with settings of the session. A pooler in transaction mode refuses them, so they go past it. */
export function withSettings(
  database: Pick<TestDatabase, 'directConnectionString'>,
  settings: Readonly<Record<string, string>>,
): { readonly connectionString: string } {
  const options = Object.entries(settings).map(([name, value]) => `-c${name}=${value}`)
  return {
    connectionString: `${database.directConnectionString}?options=${encodeURIComponent(options.join(' '))}`,
  }
}
