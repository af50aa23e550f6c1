import { createHash } from 'node:crypto'
import { GENESIS_HASH } from '../../model/audit-entry.ts'
import type { JsonValue } from '../../model/raw-json.ts'
import type { Store } from '../../store.ts'
import type { DemoHost } from './demo-hosts.ts'

const ACTIONS = ['login', 'acknowledge-alert', 'change-rule', 'export-evidence', 'logout'] as const

/** Continues the first host's chain by a few entries, reads the whole chain back and checks every link. */
export async function appendDemoAudit(
  store: Store,
  hosts: readonly DemoHost[],
  say: (line: string) => void,
): Promise<void> {
  const host = hosts[0]
  if (!host) return
  const { hostId, hostname } = host
  const last = (await store.queryAuditEntries({ hostId })).at(-1)
  let prevHash = last?.eventHash ?? GENESIS_HASH
  let sequenceNum = last?.sequenceNum ?? 0
  for (const action of ACTIONS) {
    const payload = { action, actor: 'demo' }
    const eventHash = hashEntry(prevHash, payload)
    sequenceNum++
    await store.insertAuditEntry({ hostId, sequenceNum, prevHash, eventHash, payload })
    prevHash = eventHash
  }
  const entries = await store.queryAuditEntries({ hostId })
  let expectedPrevHash = GENESIS_HASH
  const linked = entries.every(entry => {
    const fits =
      entry.prevHash === expectedPrevHash &&
      entry.eventHash === hashEntry(entry.prevHash, entry.payload.parse())
    expectedPrevHash = entry.eventHash
    return fits
  })
  say(
    `audit     ${entries.length} entries for ${hostname}, ${linked ? 'every link fits' : 'A LINK DOES NOT FIT'}`,
  )
}

/** The demo's own scheme: the caller of `insertAuditEntry` chooses how an event is hashed. */
function hashEntry(prevHash: string, payload: JsonValue): string {
  return createHash('sha256').update(prevHash).update(sortedJson(payload)).digest('hex')
}

/** jsonb orders the members of an object by length and name, so the hash must not depend on their order. */
function sortedJson(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
