import { describe, expect, test } from 'vitest'
import { fileNameOf, namePages, readCodeBlocks, toSourceFile } from '../../scripts/docs/code-blocks.ts'
import { readInterfaceMembers, readNameList } from '../../scripts/docs/interface-members.ts'
import { findLinkProblems } from '../../scripts/docs/links.ts'
import { markdownTable } from '../../scripts/docs/markdown-table.ts'

describe('links', () => {
  const problemsOf = (text: string, path = 'docs/guide/page.md') =>
    findLinkProblems(
      new Map([
        [path, text],
        ['docs/reference/errors.md', '# One thing\n\n## `a_b`: two, three\n\n## One thing\n'],
      ]),
    )

  test.each([
    ['a file', '[x](../../package.json)'],
    ['a folder', '[x](../../src/) and [y](../../src)'],
    ['another site', '[x](https://example.org/nothing.md) and [y](mailto:a@example.org)'],
    [
      'a heading',
      '[x](../reference/errors.md#one-thing) [y](../reference/errors.md#a_b-two-three) [z](../reference/errors.md#one-thing-1)',
    ],
    ['a heading of the same page', '# Here\n\n[x](#here)'],
    ['nothing, because it is code', '`[x](nothing.md)`\n\n```md\n[x](nothing.md)\n```\n'],
  ])('to %s is fine', (_, text) => {
    expect(problemsOf(text)).toEqual([])
  })

  test.each([
    ['a missing file', 'text\n[x](nothing.md)', 'docs/guide/page.md:2: the link nothing.md leads to no file'],
    [
      'a missing picture',
      '![x](nothing.png "title")',
      'docs/guide/page.md:1: the link nothing.png leads to no file',
    ],
    ['a label', '[x]: nothing.md', 'docs/guide/page.md:1: the link nothing.md leads to no file'],
    ['a missing heading', '# Here\n[x](#there)', 'docs/guide/page.md:2: the link #there leads to no heading'],
    [
      'an absolute path',
      '[x](/docs/x.md)',
      'docs/guide/page.md:1: the link /docs/x.md is absolute; make it relative',
    ],
    [
      'outside',
      '[x](../../../x.md)',
      'docs/guide/page.md:1: the link ../../../x.md leads out of the project',
    ],
  ])('to %s is found', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expected])
  })
})

describe('blocks of code', () => {
  const page = [
    '# Page',
    '```ts',
    '// run: first',
    "import { Store } from 'tripwire-storage'",
    '```',
    '- in a list',
    '  ```ts',
    '  await store.flush()',
    '  ```',
    '```ts no-check',
    'nonsense(',
    '```',
    '```sh',
    'npm test',
    '```',
  ].join('\n')
  const blocks = readCodeBlocks('docs/page.md', page)

  test('are found with their lines, programs apart from fragments', () => {
    expect(blocks.map(({ line, runName, isFragment }) => ({ line, runName, isFragment }))).toEqual([
      { line: 3, runName: 'first', isFragment: false },
      { line: 8, runName: undefined, isFragment: true },
    ])
    expect(blocks[1]?.code).toBe('await store.flush()\n')
  })

  test('keep the line numbers of the page, and its name in messages', () => {
    for (const block of blocks) {
      const lines = toSourceFile(block).split('\n')
      expect(lines[block.line - 1]).toBe(block.code.split('\n')[0])
    }
    const [first] = blocks
    if (first === undefined) throw new Error('no block')
    expect(namePages(`/p/.tmp-1/${fileNameOf(first)}(3,1): error`, '/p/.tmp-1')).toBe(
      'docs/page.md(3,1): error',
    )
    expect(namePages(`at file:///p/.tmp-1/${fileNameOf(first)}:3:1`, '/p/.tmp-1')).toBe('at docs/page.md:3:1')
  })
})

describe('the reference', () => {
  const source = [
    'export interface Options {',
    '  /** The first. */',
    '  readonly first: string',
    '  /**',
    '   * The second,',
    '   * on two lines.',
    '   */',
    "  readonly second?: 'a' | 'b' | undefined",
    '  third?: number',
    '}',
    "const NAMES = [\n  'first',\n  'second',\n] as const",
  ].join('\n')

  test('reads the members of an interface and their comments', () => {
    expect(readInterfaceMembers(source, 'Options')).toEqual([
      { name: 'first', optional: false, type: 'string', meaning: 'The first.' },
      { name: 'second', optional: true, type: "'a' | 'b'", meaning: 'The second, on two lines.' },
      { name: 'third', optional: true, type: 'number', meaning: '' },
    ])
    expect(readNameList(source, 'NAMES')).toEqual(['first', 'second'])
    expect(() => readInterfaceMembers(source, 'Other')).toThrow('there is no interface Other')
  })

  test('keeps a bar inside its cell', () => {
    expect(markdownTable(['A'], [["'a' | 'b'"]])).toBe("| A |\n| --- |\n| 'a' \\| 'b' |")
  })
})
