/** Builds dist from src: JavaScript and declarations. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listBuiltFiles } from './support/built-files.ts'
import { PROJECT_DIR, runCheck } from './support/project.ts'
import { runOrThrow, TSC } from './support/run-program.ts'
import { findImports, readTokens } from './support/source-tokens.ts'

const DIST_DIR = join(PROJECT_DIR, 'dist')

await runCheck('build', async () => {
  rmSync(DIST_DIR, { recursive: true, force: true })
  await runOrThrow(process.execPath, [TSC, '-p', 'tsconfig.build.json'])
  const files = listBuiltFiles(DIST_DIR)
  for (const path of files.filter(name => name.endsWith('.d.ts'))) rewriteDeclarationImports(path)
  chmodSync(join(DIST_DIR, 'cli', 'main.js'), 0o755)
  return { summary: `${files.length} files in dist`, problems: files.flatMap(findSourceImports) }
})

/** The compiler rewrites `./a.ts` to `./a.js` in JavaScript only; in declarations not every resolver takes it. */
function rewriteDeclarationImports(path: string): void {
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace(/(\b(?:from|import)\s*\(?\s*(['"])\.\.?\/[^'"]*)\.ts\2/g, '$1.js$2'))
}

/** The sources are not in the package, so nothing may name a `.ts` file any more. */
function findSourceImports(path: string): readonly string[] {
  return findImports(readTokens(readFileSync(path, 'utf8')))
    .filter(({ specifier }) => specifier?.startsWith('.') && !specifier.endsWith('.js'))
    .map(({ specifier, line }) => `${path}:${line}: ${specifier} was not rewritten to .js`)
}
