/** The bytes of standard Base64 (RFC 4648, section 4) in its one canonical form; `undefined` for anything else. */
export function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
