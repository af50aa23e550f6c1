import { findImportCycles } from './import-cycles.ts'
import {
  LONG_FILES,
  LONGEST_SOURCE_LINES,
  LONGEST_TEST_LINES,
  PARTS,
  PROCESS_GLOBALS,
} from './layout-rules.ts'
import { findImports, readTokens, type SourceImport, type Token } from './source-tokens.ts'

/** Finds what breaks the rules in a set of sources: path from the root of the project -> text. */
export function findLayoutProblems(
  files: ReadonlyMap<string, string>,
  longFiles: Readonly<Record<string, string>> = LONG_FILES,
): readonly string[] {
  const problems = findLongFiles(files, longFiles)
  const edges = new Map<string, readonly string[]>()
  const packageUsers = new Map<string, string[]>()
  for (const [path, text] of files) {
    if (!path.startsWith('src/')) continue
    const part = partOf(path)
    if (!Object.hasOwn(PARTS, part)) {
      problems.push(
        `${path}: the part "${part}" is unknown; add it to PARTS in scripts/support/layout-rules.ts`,
      )
      continue
    }
    const tokens = readTokens(text)
    const imports = findImports(tokens)
    for (const found of imports) {
      const problem = checkImport(path, part, found, files)
      if (problem !== undefined) problems.push(`${path}:${found.line}: ${problem}`)
      const name = packageOf(found.specifier)
      if (name !== undefined) addTo(packageUsers, `${part} ${name}`, path)
    }
    edges.set(
      path,
      imports.flatMap(found => targetOf(path, found.specifier) ?? []),
    )
    problems.push(...findProcessGlobals(path, part, tokens))
  }
  problems.push(...findCrowdedPackages(packageUsers))
  for (const cycle of findImportCycles(edges)) {
    problems.push(`import cycle: ${cycle.join(' -> ')}; move what both need into a module of its own`)
  }
  return problems
}

/** `src/alerts/ingest/ingest.ts` -> `alerts`, `src/errors.ts` -> `errors`. */
function partOf(path: string): string {
  const [, first = ''] = path.split('/')
  return first.replace(/\.ts$/, '')
}

/** The file that a relative import names, whether or not it exists. */
function targetOf(path: string, specifier: string | undefined): string | undefined {
  if (specifier === undefined || !/^\.\.?\//.test(specifier)) return undefined
  return new URL(specifier, `file:///${path}`).pathname.slice(1)
}

function packageOf(specifier: string | undefined): string | undefined {
  if (specifier === undefined || specifier.startsWith('.') || specifier.startsWith('node:')) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function checkImport(
  path: string,
  part: string,
  found: SourceImport,
  files: ReadonlyMap<string, string>,
): string | undefined {
  const rules = PARTS[part]
  if (rules === undefined) return undefined
  if (found.specifier === undefined)
    return 'import() needs a plain text, so that its direction can be checked'
  if (found.specifier.startsWith('node:')) return checkBuiltin(part, found.specifier, found)
  const name = packageOf(found.specifier)
  if (name !== undefined) {
    if (Object.hasOwn(rules.packages ?? {}, name)) return undefined
    return `${part} may not import the package ${name}; ${whoMayImport(name)}`
  }
  const target = targetOf(path, found.specifier)
  if (target === undefined || !files.has(target)) {
    return `${found.specifier} does not exist; write the path of the file with its ending .ts`
  }
  if (!target.startsWith('src/')) return `${found.specifier} lies outside src`
  const other = partOf(target)
  if (other === part || rules.parts.includes(other)) return undefined
  if (rules.typesOf?.includes(other)) {
    return found.typeOnly ? undefined : `${part} may import only types of ${other}; write "import type"`
  }
  const allowed = [...rules.parts, ...(rules.typesOf ?? []).map(name => `types of ${name}`)]
  return `${part} may not import ${other}; it may import ${allowed.join(', ') || 'nothing'}`
}

function whoMayImport(name: string): string {
  const parts = Object.entries(PARTS).filter(([, rules]) => Object.hasOwn(rules.packages ?? {}, name))
  return parts.length === 0 ? 'no part may' : `only ${parts.map(([part]) => part).join(', ')} may`
}

function checkBuiltin(part: string, specifier: string, { names }: SourceImport): string | undefined {
  const global = specifier.slice('node:'.length)
  const globalRules = PROCESS_GLOBALS[global]
  if (globalRules !== undefined && globalRules[part] !== 'any') return `${part} may not import ${specifier}`
  const builtins = PARTS[part]?.builtins
  if (builtins === undefined) return undefined
  const allowed = Object.hasOwn(builtins, specifier) ? builtins[specifier] : undefined
  if (allowed === 'any') return undefined
  if (allowed === undefined)
    return `${part} is pure and may not import ${specifier}; hand the value in instead`
  const others = names.filter(name => !allowed.includes(name))
  if (names.length > 0 && others.length === 0) return undefined
  return `${part} may import only ${allowed.join(', ')} from ${specifier}`
}

/** Uses of `process` and `console` where the part may not touch them. */
function findProcessGlobals(path: string, part: string, tokens: readonly Token[]): readonly string[] {
  const problems: string[] = []
  tokens.forEach((token, index) => {
    const rules = Object.hasOwn(PROCESS_GLOBALS, token.text) ? PROCESS_GLOBALS[token.text] : undefined
    if (rules === undefined || token.kind !== 'name') return
    const before = tokens[index - 1]?.text
    const after = tokens[index + 1]?.text
    const isMember = before === '.' || before === '?.'
    const isKey = after === ':' && before !== '?'
    if (isMember || isKey) return
    const allowed = rules[part]
    if (allowed === 'any') return
    if (allowed === undefined) {
      problems.push(`${path}:${token.line}: only src/cli may use ${token.text}; hand the value in or throw`)
      return
    }
    const member = after === '.' || after === '?.' ? tokens[index + 2]?.text : undefined
    // A member that the global has not belongs to a local variable of the same name.
    if (member === undefined ? after !== '[' : allowed.includes(member) || !(member in process)) return
    problems.push(
      `${path}:${token.line}: ${part} may use only ${allowed.map(name => `${token.text}.${name}`).join(', ')}`,
    )
  })
  return problems
}

function findCrowdedPackages(users: ReadonlyMap<string, readonly string[]>): readonly string[] {
  return [...users].flatMap(([key, paths]) => {
    const [part = '', name = ''] = key.split(' ')
    const most = PARTS[part]?.packages?.[name]
    const distinct = [...new Set(paths)]
    if (most === undefined || distinct.length <= most) return []
    return [`${distinct.join(', ')}: at most ${most} file of ${part} may import the package ${name}`]
  })
}

function findLongFiles(
  files: ReadonlyMap<string, string>,
  longFiles: Readonly<Record<string, string>>,
): string[] {
  const problems: string[] = []
  for (const [path, text] of files) {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
    const most = path.startsWith('test/') ? LONGEST_TEST_LINES : LONGEST_SOURCE_LINES
    if (lines > most && !Object.hasOwn(longFiles, path)) {
      problems.push(`${path}: ${lines} lines, the most is ${most}; split it by what it is about`)
    } else if (lines <= most && Object.hasOwn(longFiles, path)) {
      problems.push(`${path}: short enough now; remove it from LONG_FILES in scripts/support/layout-rules.ts`)
    }
  }
  for (const path of Object.keys(longFiles)) {
    if (!files.has(path)) problems.push(`${path}: stands in LONG_FILES but does not exist; remove it there`)
  }
  return problems
}

function addTo(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else values.push(value)
}
