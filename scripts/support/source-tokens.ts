import { SyntaxKind } from 'typescript/unstable/ast'
import { createScanner } from 'typescript/unstable/ast/scanner'

/** A token of a TypeScript source. Comments and white space are none. */
export interface Token {
  /** As it stands in the source; the value without quotes for a string. */
  readonly text: string
  readonly kind: 'name' | 'string' | 'other'
  /** From 1. */
  readonly line: number
}

/** After these a slash divides; after anything else it begins a regular expression. */
const ENDS_OPERAND: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.Identifier,
  SyntaxKind.PrivateIdentifier,
  SyntaxKind.NumericLiteral,
  SyntaxKind.BigIntLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.ThisKeyword,
  SyntaxKind.NullKeyword,
  SyntaxKind.TrueKeyword,
  SyntaxKind.FalseKeyword,
])

/** Splits a source into tokens with TypeScript's own scanner, so that texts and comments never look like code. */
export function readTokens(source: string): readonly Token[] {
  const scanner = createScanner(true, undefined, source)
  const tokens: Token[] = []
  /** For each `${` that is open, how many braces are open inside it. */
  const templates: number[] = []
  let previous: SyntaxKind = SyntaxKind.Unknown
  let line = 1
  let counted = 0
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFile; kind = scanner.scan()) {
    if (
      (kind === SyntaxKind.SlashToken || kind === SyntaxKind.SlashEqualsToken) &&
      !ENDS_OPERAND.has(previous)
    ) {
      kind = scanner.reScanSlashToken()
    }
    const depth = templates.at(-1)
    if (kind === SyntaxKind.OpenBraceToken && depth !== undefined) templates[templates.length - 1] = depth + 1
    if (kind === SyntaxKind.CloseBraceToken && depth !== undefined) {
      if (depth === 0) kind = scanner.reScanTemplateToken(false)
      else templates[templates.length - 1] = depth - 1
    }
    if (kind === SyntaxKind.TemplateHead) templates.push(0)
    if (kind === SyntaxKind.TemplateTail) templates.pop()
    for (; counted < scanner.getTokenStart(); counted++) if (source[counted] === '\n') line++
    tokens.push({
      text: textOf(kind, scanner.getTokenText(), scanner.getTokenValue()),
      kind: groupOf(kind),
      line,
    })
    previous = kind
  }
  return tokens
}

function textOf(kind: SyntaxKind, text: string, value: string): string {
  return groupOf(kind) === 'string' ? value : text
}

function groupOf(kind: SyntaxKind): Token['kind'] {
  if (kind === SyntaxKind.StringLiteral || kind === SyntaxKind.NoSubstitutionTemplateLiteral) return 'string'
  return kind >= SyntaxKind.Identifier ? 'name' : 'other'
}

export interface SourceImport {
  /** `undefined` for an `import()` whose argument is not a plain text. */
  readonly specifier: string | undefined
  /** The names taken from the module; empty for `import()`, `import *` and `export *`. */
  readonly names: readonly string[]
  /** `import type` and `export type`: nothing is loaded. */
  readonly typeOnly: boolean
  readonly line: number
}

/** Every import, re-export and `import()` of a source, in its order. */
export function findImports(tokens: readonly Token[]): readonly SourceImport[] {
  const found: SourceImport[] = []
  tokens.forEach((token, index) => {
    if (token.kind !== 'name' || tokens[index - 1]?.text === '.') return
    const next = tokens[index + 1]
    if (next === undefined) return
    if (token.text === 'import') {
      if (next.text === '(' && next.kind === 'other') found.push(importCall(tokens, index))
      else if (next.kind === 'string')
        found.push({ specifier: next.text, names: [], typeOnly: false, line: token.line })
      else if (next.text !== '.') found.push(...importClause(tokens, index))
    } else if (token.text === 'export' && ['{', '*', 'type'].includes(next.text)) {
      found.push(...importClause(tokens, index))
    }
  })
  return found
}

function importCall(tokens: readonly Token[], index: number): SourceImport {
  const argument = tokens[index + 2]
  const specifier = argument?.kind === 'string' ? argument.text : undefined
  return { specifier, names: [], typeOnly: false, line: tokens[index]?.line ?? 0 }
}

/** `import … from 'x'` or `export … from 'x'`; nothing when no module follows, as in `export { a }` or `export type A =`. */
function importClause(tokens: readonly Token[], index: number): readonly SourceImport[] {
  const line = tokens[index]?.line ?? 0
  const second = tokens[index + 1]
  const typeOnly = second?.text === 'type' && tokens[index + 2]?.text !== 'from'
  const names: string[] = []
  let inBraces = false
  for (let at = index + (typeOnly ? 2 : 1); at < tokens.length; at++) {
    const token = tokens[at]
    const next = tokens[at + 1]
    if (token === undefined || next === undefined) break
    if (token.text === 'from' && next.kind === 'string') {
      return [{ specifier: next.text, names, typeOnly, line }]
    }
    if (token.text === '{') inBraces = true
    else if (token.text === '}') inBraces = false
    else if (token.kind === 'name') {
      const before = tokens[at - 1]?.text
      const isWord =
        before !== '{' && before !== ','
          ? token.text === 'as' || before === 'as'
          : isTypeModifier(token, next)
      if (inBraces && !isWord) names.push(token.text)
      // `export type A = …` and `export type A<…>` declare.
      if (!inBraces && (next.text === '=' || next.text === '<')) break
    } else if (token.text !== ',' && token.text !== '*') break
  }
  return []
}

/** `type` in `import { type A }`, but not in `import { type }` or `import { type as a }`. */
function isTypeModifier(token: Token, next: Token): boolean {
  return token.text === 'type' && next.kind === 'name' && next.text !== 'as'
}
