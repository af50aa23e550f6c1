import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startTestServer } from '../../test/support/test-server.ts'
import { PROJECT_DIR } from '../support/project.ts'
import { type Outcome, run, TSC } from '../support/run-program.ts'
import { withMigratedDatabase } from '../support/scratch-database.ts'
import { SOURCE_MODULES } from '../support/source-modules.ts'
import { type CodeBlock, fileNameOf, namePages, toSourceFile } from './code-blocks.ts'

const LONGEST_RUN_MS = 120_000
const RESOLVE_HOOK = pathToFileURL(join(PROJECT_DIR, 'scripts', 'support', 'resolve-to-source.ts')).href

/** Type-checks every block, and executes the blocks that ask for it and the examples. */
export async function findCodeProblems(
  blocks: readonly CodeBlock[],
  examples: readonly string[],
): Promise<readonly string[]> {
  // Inside the project, so that its packages are found.
  mkdirSync(join(PROJECT_DIR, 'examples'), { recursive: true })
  const folder = mkdtempSync(join(PROJECT_DIR, 'examples', '.tmp-'))
  try {
    for (const block of blocks) writeFileSync(join(folder, fileNameOf(block)), toSourceFile(block))
    const typeProblems = await checkTypes(blocks, folder)
    if (typeProblems.length > 0) return typeProblems
    return await runPrograms(
      [
        ...blocks
          .filter(({ runName }) => runName !== undefined)
          .map(block => ({ name: `${block.page}:${block.line}`, path: join(folder, fileNameOf(block)) })),
        ...examples.map(path => ({ name: path, path: join(PROJECT_DIR, path) })),
      ],
      folder,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checkTypes(blocks: readonly CodeBlock[], folder: string): Promise<readonly string[]> {
  if (blocks.length === 0) return []
  const paths = Object.entries(SOURCE_MODULES).map(([name, path]) => [name, [`../../${path}`]])
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: { paths: Object.fromEntries(paths), noUnusedLocals: false, noUnusedParameters: false },
    include: [],
    files: blocks.map(fileNameOf),
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const { status, output } = await run(process.execPath, [TSC, '-p', folder, '--pretty', 'false'])
  return status === 0 ? [] : namePages(output, folder).trimEnd().split('\n')
}

interface Program {
  readonly name: string
  readonly path: string
}

/** Each on a freshly migrated database of its own. */
async function runPrograms(programs: readonly Program[], folder: string): Promise<readonly string[]> {
  if (programs.length === 0) return []
  const problems: string[] = []
  const server = await startTestServer(process.env)
  try {
    for (const { name, path } of programs) {
      const outcome = await withMigratedDatabase(server.adminUrl, url => runProgram(path, url, folder))
      if (outcome.status === 0) continue
      problems.push(
        `${name} ended with ${outcome.status}:\n${namePages(outcome.output, folder).trimEnd().replace(/^/gm, '  ')}`,
      )
    }
  } finally {
    await server.stop()
  }
  return problems
}

/** In a folder of its own, so that what it writes is removed with it. */
async function runProgram(path: string, databaseUrl: string, folder: string): Promise<Outcome> {
  const cwd = join(folder, `${basename(path)}.files`)
  mkdirSync(cwd)
  return run(process.execPath, ['--import', RESOLVE_HOOK, path], {
    cwd,
    env: { TRIPWIRE_DATABASE_URL: databaseUrl },
    timeoutMs: LONGEST_RUN_MS,
  })
}
