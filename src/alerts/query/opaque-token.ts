import { createHash } from 'node:crypto'

const CHECK_LENGTH = 16

/**
 * Text that a caller keeps and hands back, and need not understand. `kind` says what it is, with its version. The check shows that it
 * was cut or altered by accident; whoever knows this file can make one, so it must give no right that the caller lacks.
 */
export function writeToken(kind: string, fields: readonly string[]): string {
  const content = JSON.stringify(fields)
  return Buffer.from(`${checkOf(kind, content)}${content}`).toString('base64url')
}

/** What it was made of; `undefined` when it is not one of this kind, or not whole. */
export function readToken(kind: string, token: string): readonly string[] | undefined {
  const bytes = Buffer.from(token, 'base64url')
  // The decoder passes over what is no base64url, and over loose bits at the end.
  if (bytes.toString('base64url') !== token) return undefined
  const text = bytes.toString('utf8')
  const content = text.slice(CHECK_LENGTH)
  if (text.slice(0, CHECK_LENGTH) !== checkOf(kind, content)) return undefined
  return readFields(content)
}

function readFields(content: string): readonly string[] | undefined {
  try {
    const fields: unknown = JSON.parse(content)
    return Array.isArray(fields) && fields.every(field => typeof field === 'string') ? fields : undefined
  } catch {
    return undefined
  }
}

function checkOf(kind: string, content: string): string {
  return createHash('sha256').update(`${kind}\n${content}`).digest('hex').slice(0, CHECK_LENGTH)
}
