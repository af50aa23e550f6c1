/** Compares db/schema.sql with the schema that all migrations give; with --write, writes it. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { firstDifference } from './support/first-difference.ts'
import { PROJECT_DIR, readProjectFile, runCheck } from './support/project.ts'
import { SCHEMA_FILE, schemaFileOf } from './support/schema-file.ts'
import { withScratchDatabase } from './support/scratch-database.ts'

await runCheck('schema', async () => {
  const actual = await withScratchDatabase(schemaFileOf)
  const path = join(PROJECT_DIR, SCHEMA_FILE)
  if (process.argv.includes('--write')) {
    writeFileSync(path, actual)
    return { summary: `${SCHEMA_FILE} is written`, problems: [] }
  }
  const difference = firstDifference(existsSync(path) ? readProjectFile(SCHEMA_FILE) : '', actual)
  const problem = `${SCHEMA_FILE} is not what the migrations give; run: npm run schema, and review the difference`
  return {
    summary: `${SCHEMA_FILE} is what the migrations give`,
    problems: difference === undefined ? [] : [`${problem}\n${difference}`],
  }
})
