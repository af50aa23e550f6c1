import { createHash } from 'node:crypto'

/**
 * An alert id for an event that brings none: the same identity gives the same id, on every machine and in every run.
 * The first 128 bits of SHA-256 over the parts, in the layout of a UUID version 8 (RFC 9562, section 5.8): 122 bits of
 * the hash remain.
 *
 * `scheme` names how the parts were chosen. Parts chosen in another way need another scheme.
 */
export function derivedAlertId(scheme: string, parts: readonly string[]): string {
  const digest = createHash('sha256')
    // JSON keeps the borders between the parts: ["a","bc"] and ["ab","c"] stay different.
    .update(JSON.stringify(['tripwire-storage', scheme, ...parts]))
    .digest()
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = digest.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
}
