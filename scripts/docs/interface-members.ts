export interface InterfaceMember {
  readonly name: string
  readonly optional: boolean
  readonly type: string
  /** Its doc comment as one line. */
  readonly meaning: string
}

const DOC_COMMENT = /\/\*\*([\s\S]*?)\*\/\s*$/
const MEMBER = /^ {2}(?:readonly )?(\w+)(\??): (.+)$/gm

/** The members of an exported interface, by its text: one line each, with a doc comment before it. */
export function readInterfaceMembers(source: string, name: string): readonly InterfaceMember[] {
  const [, body] =
    new RegExp(`^export interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)^\\}`, 'm').exec(source) ?? []
  if (body === undefined) throw new Error(`there is no interface ${name}`)
  let end = 0
  return [...body.matchAll(MEMBER)].map(match => {
    const [whole, member = '', mark, type = ''] = match
    const [, comment = ''] = DOC_COMMENT.exec(body.slice(end, match.index)) ?? []
    end = match.index + whole.length
    return {
      name: member,
      optional: mark === '?',
      type: type.replace(/ \| undefined$/, ''),
      meaning: comment
        .replace(/^\s*\*? ?/gm, '')
        .replace(/\s+/g, ' ')
        .trim(),
    }
  })
}

/** The names in `const NAMES = ['a', 'b'] as const`. */
export function readNameList(source: string, constant: string): readonly string[] {
  const [, list] = new RegExp(`^(?:export )?const ${constant} = \\[([^\\]]*)\\]`, 'm').exec(source) ?? []
  if (list === undefined) throw new Error(`there is no list ${constant}`)
  return [...list.matchAll(/'([^']+)'/g)].map(([, name = '']) => name)
}
