/** The test vectors of docs/audit-chain.md, which are made by the code that they are for. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { firstDifference } from '../support/first-difference.ts'
import { PROJECT_DIR, readProjectFile } from '../support/project.ts'
import { canonicalBlock, chainBlock } from './audit-chain-vectors.ts'

const PAGE = 'docs/audit-chain.md'
const END = '<!-- end -->'
const BLOCKS = [
  { begin: '<!-- begin: canonical JSON vectors -->', generate: canonicalBlock },
  { begin: '<!-- begin: chain vectors -->', generate: chainBlock },
] as const

export function writeAuditChainPage(): readonly string[] {
  const { text, problems } = withVectors(readProjectFile(PAGE))
  writeFileSync(join(PROJECT_DIR, PAGE), text)
  return problems
}

export function findAuditChainProblems(): readonly string[] {
  const before = readProjectFile(PAGE)
  const { text, problems } = withVectors(before)
  const difference = firstDifference(before, text)
  if (difference === undefined) return problems
  return [...problems, `${PAGE} does not hold the vectors of the code; run: npm run docs\n${difference}`]
}

function withVectors(before: string): { readonly text: string; readonly problems: readonly string[] } {
  let text = before
  const problems: string[] = []
  for (const { begin, generate } of BLOCKS) {
    const from = text.indexOf(begin)
    const to = text.indexOf(END, from)
    if (from < 0 || to < 0) problems.push(`${PAGE} has no place for its vectors: ${begin}, ${END}`)
    else text = `${text.slice(0, from)}${begin}\n\`\`\`text\n${generate()}\n\`\`\`\n${text.slice(to)}`
  }
  return { text, problems }
}
