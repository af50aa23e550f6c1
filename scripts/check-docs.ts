/**
 * Checks the documentation against the code: reference pages, links, examples.
 * With --write, writes the generated parts of the reference pages instead.
 */
import { findAuditChainProblems, writeAuditChainPage } from './docs/audit-chain-page.ts'
import { readCodeBlocks } from './docs/code-blocks.ts'
import { findCodeProblems } from './docs/code-checks.ts'
import { findLinkProblems } from './docs/links.ts'
import { findOptionProblems } from './docs/options-page.ts'
import { findReferenceProblems, REFERENCE_PAGE_COUNT, writeReferencePages } from './docs/reference-pages.ts'
import { listFiles, readProjectFile, runCheck } from './support/project.ts'

await runCheck('docs', async () => {
  if (process.argv.includes('--write')) {
    return {
      summary: `${REFERENCE_PAGE_COUNT} reference pages and the vectors of the audit chain are written`,
      problems: [...writeReferencePages(), ...writeAuditChainPage()],
    }
  }
  const pages = new Map(
    listFiles('.', name => name.endsWith('.md')).map(path => [path, readProjectFile(path)]),
  )
  const blocks = [...pages].flatMap(([path, text]) => readCodeBlocks(path, text))
  const examples = listFiles('.', name => name.endsWith('.ts')).filter(path =>
    /^examples\/[^/]+\.ts$/.test(path),
  )
  const executed = blocks.filter(({ runName }) => runName !== undefined).length + examples.length
  return {
    summary: `${pages.size} pages agree with the code; ${blocks.length} blocks of code fit the types, ${executed} programs ran`,
    problems: [
      ...findOptionProblems(),
      ...findReferenceProblems(),
      ...findAuditChainProblems(),
      ...findLinkProblems(pages),
      ...(await findCodeProblems(blocks, examples)),
    ],
  }
})
