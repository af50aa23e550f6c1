import { existsSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { PROJECT_DIR } from '../support/project.ts'

/** `[text](target)`, `![text](target "title")` and `[label]: target`. */
const LINK = /\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\s*\[[^\]]+\]:\s*(\S+)/g

/** Relative links that lead to no file, or to no heading of it. */
export function findLinkProblems(pages: ReadonlyMap<string, string>): readonly string[] {
  const anchors = new Map([...pages].map(([path, text]) => [path, readAnchors(text)]))
  return [...pages].flatMap(([path, text]) =>
    linesOutsideCode(text).flatMap(({ line, content }) =>
      [...content.matchAll(LINK)].flatMap(([, inline, reference]) => {
        const problem = checkLink(path, inline ?? reference ?? '', anchors)
        return problem === undefined ? [] : [`${path}:${line}: ${problem}`]
      }),
    ),
  )
}

function checkLink(
  path: string,
  target: string,
  anchors: ReadonlyMap<string, ReadonlySet<string>>,
): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target) || target.startsWith('//')) return undefined
  const [file = '', anchor] = target.split('#')
  if (file.startsWith('/')) return `the link ${target} is absolute; make it relative`
  const linked = file === '' ? path : posix.join(posix.dirname(path), decodeURIComponent(file))
  if (linked.startsWith('../')) return `the link ${target} leads out of the project`
  const absolute = join(PROJECT_DIR, linked)
  if (file !== '' && !existsSync(absolute)) return `the link ${target} leads to no file`
  if (file.endsWith('/') && !statSync(absolute).isDirectory()) return `the link ${target} leads to no folder`
  const known = anchors.get(linked)
  if (anchor === undefined || known === undefined || known.has(anchor)) return undefined
  return `the link ${target} leads to no heading`
}

/** The anchors that GitHub makes of headings, and those given in HTML. */
function readAnchors(text: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const { content } of linesOutsideCode(text, 'keep')) {
    const [, heading] = /^#{1,6}\s+(.*?)\s*#*$/.exec(content) ?? []
    if (heading !== undefined) {
      const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
      const base = words
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-')
      let anchor = base
      for (let count = 1; anchors.has(anchor); count++) anchor = `${base}-${count}`
      anchors.add(anchor)
    }
    for (const [, id = ''] of content.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id)
  }
  return anchors
}

function linesOutsideCode(
  text: string,
  spans: 'drop' | 'keep' = 'drop',
): readonly { readonly line: number; readonly content: string }[] {
  let fence: string | undefined
  return text.split('\n').flatMap((content, index) => {
    const [, mark] = /^\s*(`{3,}|~{3,})/.exec(content) ?? []
    if (mark !== undefined) {
      if (fence === undefined) fence = mark
      else if (mark.startsWith(fence)) fence = undefined
      return []
    }
    if (fence !== undefined) return []
    return [{ line: index + 1, content: spans === 'drop' ? content.replace(/(`+)[^`]*?\1/g, '') : content }]
  })
}
