import { describe, expect, test } from 'vitest'
import { findImportCycles } from '../../scripts/support/import-cycles.ts'
import { findLayoutProblems } from '../../scripts/support/layout.ts'
import { PARTS } from '../../scripts/support/layout-rules.ts'

const LEAVES = { 'src/errors.ts': 'export const E = 1\n', 'src/model/alert.ts': 'export const A = 1\n' }

function problemsOf(
  files: Record<string, string>,
  longFiles: Record<string, string> = {},
): readonly string[] {
  return findLayoutProblems(new Map(Object.entries({ ...LEAVES, ...files })), longFiles)
}

describe('direction of imports', () => {
  test('a tree that follows the rules has no problem', () => {
    expect(
      problemsOf({
        'src/pg/database.ts':
          "import pg from 'pg'\nimport { E } from '../errors.ts'\nexport const D = [pg, E]\n",
        'src/audit/append.ts': "import { D } from '../pg/database.ts'\nexport const P = D\n",
        'src/hosts/write.ts': "import { P } from '../audit/append.ts'\nexport const W = P\n",
        'src/store.ts': "export * from './hosts/write.ts'\n",
        'src/cli/main.ts':
          "const m = await import('../store.ts')\nprocess.exitCode = m ? 0 : 1\nconsole.log()\n",
      }),
    ).toEqual([])
  })

  test.each([
    [
      'a leaf to the database',
      'src/model/x.ts',
      "import '../pg/d.ts'",
      'src/model/x.ts:1: model may not import pg',
    ],
    [
      'one domain to another',
      'src/hosts/x.ts',
      "import type { A } from '../alerts/a.ts'",
      'hosts may not import alerts',
    ],
    [
      'a domain to the façade',
      'src/rules/x.ts',
      "export { S } from '../store.ts'",
      'rules may not import store',
    ],
    [
      'the database to a domain',
      'src/pg/x.ts',
      "const x = await import('../alerts/a.ts')",
      'pg may not import alerts',
    ],
    ['the audit log to a domain', 'src/audit/x.ts', "import '../alerts/a.ts'", 'audit may not import alerts'],
    [
      'a type in an expression',
      'src/pg/x.ts',
      "let x: import('../alerts/a.ts').A",
      'pg may not import alerts',
    ],
    ['out of src', 'src/store.ts', "import '../scripts/x.ts'", '../scripts/x.ts does not exist'],
    ['without an ending', 'src/store.ts', "import './errors'", './errors does not exist'],
    ['of an expression', 'src/store.ts', 'await import(name)', 'import() needs a plain text'],
    ['a part without rules', 'src/extra/x.ts', '', 'the part "extra" is unknown'],
  ])('%s is found', (_, path, source, expected) => {
    const others = {
      'src/pg/d.ts': '',
      'src/alerts/a.ts': '',
      'src/store.ts': '',
    }
    expect(problemsOf({ ...others, [path]: source }).join('\n')).toContain(expected)
  })

  test('import takes types of the store, not the store', () => {
    const store = { 'src/store.ts': 'export class Store {}\n' }
    expect(problemsOf({ ...store, 'src/import/a.ts': "import type { Store } from '../store.ts'" })).toEqual(
      [],
    )
    expect(problemsOf({ ...store, 'src/import/a.ts': "import { Store } from '../store.ts'" })).toEqual([
      'src/import/a.ts:1: import may import only types of store; write "import type"',
    ])
  })

  test('what looks like an import in a comment, a text or a pattern is none', () => {
    const source = [
      "// import '../pg/d.ts'",
      "/* import '../pg/d.ts' */",
      'const a = "import \'../pg/d.ts\'"',
      `const b = \`import '../pg/d.ts' $\{a + \`$\{'}'}\`} from '../pg/d.ts'\``,
      "const c = /import '..\\/pg\\/d.ts'/.test(b)",
      'export { a, b, c }',
      "export type From = 'x'",
    ].join('\n')
    expect(problemsOf({ 'src/model/x.ts': source })).toEqual([])
  })

  test('code after a template and a pattern is read again', () => {
    const source = `const b = \`$\{{ a: 1 }}\` + 4 / 2\nconst c = /[/'"]/\nimport '../pg/d.ts'\n`
    expect(problemsOf({ 'src/pg/d.ts': '', 'src/model/x.ts': source })).toEqual([
      'src/model/x.ts:3: model may not import pg; it may import errors',
    ])
  })
})

describe('packages and modules of Node.js', () => {
  test.each([
    ['the driver in a domain', 'src/alerts/x.ts', "import pg from 'pg'", 'only pg, embedded may'],
    ['a package nobody may use', 'src/pg/x.ts', "import x from 'left-pad/lib'", 'left-pad; no part may'],
    ['a package with a scope', 'src/pg/x.ts', "import x from '@a/b/c'", '@a/b; no part may'],
    [
      'a built-in without its prefix',
      'src/model/x.ts',
      "import fs from 'fs'",
      'may not import the package fs',
    ],
    ['files in the model', 'src/model/x.ts', "import { readFile } from 'node:fs'", 'may not import node:fs'],
    ['a child process in a sensor', 'src/sensors/x.ts', "import 'node:child_process'", 'sensors is pure'],
    [
      'more than isIP in the model',
      'src/model/x.ts',
      "import { connect, isIP } from 'node:net'",
      'only isIP',
    ],
    ['all of node:net in the model', 'src/model/x.ts', "import net from 'node:net'", 'only isIP'],
    [
      'process as a module',
      'src/alerts/x.ts',
      "import { exit } from 'node:process'",
      'may not import node:process',
    ],
  ])('%s is found', (_, path, source, expected) => {
    expect(problemsOf({ [path]: source }).join('\n')).toContain(expected)
  })

  test('isIP in the model and hashes in a sensor are fine', () => {
    expect(
      problemsOf({
        'src/model/x.ts': "import { isIP as ip, type isIPv4 as v4 } from 'node:net'\nexport const x = ip",
        'src/sensors/x.ts': "import { createHash } from 'node:crypto'\nexport const x = createHash",
      }),
    ).toEqual([])
  })

  test('one file of embedded may use the driver, not two', () => {
    const source = "import pg from 'pg'\nexport const x = pg\n"
    expect(problemsOf({ 'src/embedded/a.ts': source })).toEqual([])
    expect(problemsOf({ 'src/embedded/a.ts': source, 'src/embedded/b.ts': source })).toEqual([
      'src/embedded/a.ts, src/embedded/b.ts: at most 1 file of embedded may import the package pg',
    ])
  })
})

describe('globals of the process', () => {
  test.each([
    [
      'process in a domain',
      'src/alerts/x.ts',
      'process.exit(1)',
      'src/alerts/x.ts:1: only src/cli may use process',
    ],
    ['process handed on', 'src/alerts/x.ts', 'const p = { process }', 'only src/cli may use process'],
    [
      'console in a domain',
      'src/alerts/x.ts',
      '\nconsole.log(1)',
      'src/alerts/x.ts:2: only src/cli may use console',
    ],
    [
      'signals in embedded',
      'src/embedded/x.ts',
      "process.on('SIGINT', f)",
      'embedded may use only process.platform',
    ],
    ['the environment in embedded', 'src/embedded/x.ts', "process.env['HOME']", 'embedded may use only'],
    ['the environment by index', 'src/embedded/x.ts', "process['env']", 'embedded may use only'],
  ])('%s is found', (_, path, source, expected) => {
    expect(problemsOf({ [path]: source }).join('\n')).toContain(expected)
  })

  test('members, keys and local variables of that name are fine', () => {
    expect(
      problemsOf({
        'src/alerts/x.ts': 'export const x = { process: 1, y: this.process }',
        'src/embedded/x.ts':
          'export const f = (process: Child) => process.ended && globalThis.process.platform',
      }),
    ).toEqual([])
  })
})

describe('cycles', () => {
  test('a cycle is found, also one of types', () => {
    expect(
      problemsOf({
        'src/pg/a.ts': "import './b.ts'\n",
        'src/pg/b.ts': "import type { C } from './c.ts'\n",
        'src/pg/c.ts': "import './a.ts'\n",
      }),
    ).toEqual([
      'import cycle: src/pg/a.ts -> src/pg/b.ts -> src/pg/c.ts -> src/pg/a.ts; move what both need into a module of its own',
    ])
  })

  test('a module that imports itself is a cycle; two ways to one module are none', () => {
    expect(findImportCycles(new Map([['a', ['a']]]))).toEqual([['a', 'a']])
    const diamond = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
      ['d', []],
    ])
    expect(findImportCycles(diamond)).toEqual([])
  })

  test('the table of directions has a way down for every part and none back, but for the two leaves', () => {
    const edges = new Map(Object.entries(PARTS).map(([part, rules]) => [part, rules.parts]))
    expect(findImportCycles(edges)).toEqual([['errors', 'model', 'errors']])
    for (const [part, { parts, typesOf = [] }] of Object.entries(PARTS)) {
      expect(Object.keys(PARTS), part).toEqual(expect.arrayContaining([...parts, ...typesOf]))
    }
  })
})

describe('length of files', () => {
  const lines = (count: number) => '// x\n'.repeat(count)

  test('300 lines of source and 500 of a test are allowed, one more is not', () => {
    expect(problemsOf({ 'src/model/x.ts': lines(300), 'test/x.test.ts': lines(500) })).toEqual([])
    expect(problemsOf({ 'scripts/x.ts': lines(301), 'test/x.test.ts': lines(501) })).toEqual([
      'scripts/x.ts: 301 lines, the most is 300; split it by what it is about',
      'test/x.test.ts: 501 lines, the most is 500; split it by what it is about',
    ])
  })

  test('an exception holds as long as it is needed', () => {
    const reasons = { 'scripts/x.ts': 'a table' }
    expect(problemsOf({ 'scripts/x.ts': lines(301) }, reasons)).toEqual([])
    expect(problemsOf({ 'scripts/x.ts': lines(300) }, reasons).join()).toContain('short enough now')
    expect(problemsOf({}, reasons).join()).toContain('does not exist; remove it')
  })
})
