import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the checkout. */
export const PROJECT_DIR = fileURLToPath(new URL('../..', import.meta.url))

const NOT_OURS: ReadonlySet<string> = new Set(['node_modules', 'dist', 'coverage', '.git'])
/** Data of servers, and what the checks write. */
const TEMPORARY = /^\.(?:tripwire|tmp-)/

/**
 * The files below a folder of the project, as sorted paths with `/` from its root.
 * What is installed, built or temporary is left out.
 */
export function listFiles(folder: string, isWanted: (path: string) => boolean): readonly string[] {
  const found: string[] = []
  const visit = (directory: string) => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (NOT_OURS.has(entry.name) || TEMPORARY.test(entry.name)) continue
      const path = join(directory, entry.name)
      if (entry.isDirectory()) visit(path)
      else if (isWanted(entry.name)) found.push(relative(PROJECT_DIR, path).split(sep).join('/'))
    }
  }
  visit(join(PROJECT_DIR, folder))
  return found.sort()
}

export function readProjectFile(path: string): string {
  return readFileSync(join(PROJECT_DIR, path), 'utf8')
}

export interface CheckResult {
  /** One line for the case that there is no problem. */
  readonly summary: string
  /** Each says what is wrong, where, and what to do. */
  readonly problems: readonly string[]
}

/** Runs a check and prints its outcome. The process exits with 1 when there are problems. */
export async function runCheck(name: string, check: () => Promise<CheckResult> | CheckResult): Promise<void> {
  try {
    const { summary, problems } = await check()
    if (problems.length === 0) {
      console.log(`${name}: ${summary}`)
      return
    }
    for (const problem of problems) console.error(`${name}: ${problem}`)
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? describeWithCauses(error) : String(error)}`)
  }
  process.exitCode = 1
}

function describeWithCauses(error: Error): string {
  const hint = 'hint' in error && typeof error.hint === 'string' ? `\n  ${error.hint}` : ''
  const cause = error.cause instanceof Error ? `\n  because of: ${describeWithCauses(error.cause)}` : ''
  return `${error.message}${hint}${cause}`
}
