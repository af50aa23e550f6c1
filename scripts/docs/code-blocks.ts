export interface CodeBlock {
  /** The page it stands on. */
  readonly page: string
  /** The line of its first line of code, from 1. */
  readonly line: number
  readonly code: string
  /** The name in `// run: <name>`; such a block is executed. */
  readonly runName: string | undefined
  /** Whether it is a part of a program, which is checked as the body of a function. */
  readonly isFragment: boolean
}

const FENCE = /^( *)```(?:ts|typescript)\n([\s\S]*?)^\1```$/gm

/** The blocks of TypeScript on a page. One whose fence says more than `ts`, such as `ts no-check`, is left out. */
export function readCodeBlocks(page: string, text: string): readonly CodeBlock[] {
  return [...text.matchAll(FENCE)].map(match => {
    const [, indent = '', body = ''] = match
    const code = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    const [, runName] = /^\/\/ run: (\S+)/.exec(code) ?? []
    return {
      page,
      line: text.slice(0, match.index).split('\n').length + 1,
      code,
      runName,
      isFragment: runName === undefined && !/^(?:import|export)\b/m.test(code),
    }
  })
}

/** What a fragment may use without declaring it. On one line, so that it moves no line of the fragment. */
const FRAGMENT_HEAD = [
  "import * as everything from 'tripwire-storage'",
  "import { startEmbeddedPostgres } from 'tripwire-storage/embedded'",
  "import { AlertsNotStoredError, DatabaseError, diagnose, ERROR_CODES, GENESIS_HASH, InvalidInputError, isRetryable, migrateDown, migrateUp, migrationStatus, NotFoundError, OverloadedError, planMigrateUp, RawJson, Store, TripwireStorageError } from 'tripwire-storage'",
  "import type { Alert, AlertPage, AlertQuery, AuditEntry, Host, HostInput, NewAlert, NewAuditEntry, NewTripwireRule, TripwireRule } from 'tripwire-storage'",
  'declare const store: Store, connectionString: string, hostId: string, ruleId: string, alert: NewAlert, alerts: readonly NewAlert[]',
  'export async function fragment(): Promise<unknown> {',
].join('; ')

/** The block as a file whose lines have the numbers that they have on the page. */
export function toSourceFile({ code, line, isFragment }: CodeBlock): string {
  if (!isFragment) return '\n'.repeat(line - 1) + code
  return `${FRAGMENT_HEAD}${'\n'.repeat(line - 1)}${code}\nreturn everything }\n`
}

/** A file name that tells the page: `docs/guide/start.md` line 12 -> `docs%guide%start.md.12.ts`. */
export function fileNameOf({ page, line }: CodeBlock): string {
  return `${page.replaceAll('/', '%')}.${line}.ts`
}

/** Names the page instead of the temporary file in what a program printed. */
export function namePages(output: string, folder: string): string {
  return output
    .replaceAll(`file://${folder}/`, '')
    .replaceAll(`${folder}/`, '')
    .replace(/\S*?([\w.%-]+\.md)\.\d+\.ts/g, (_, page: string) => page.replaceAll('%', '/'))
}
