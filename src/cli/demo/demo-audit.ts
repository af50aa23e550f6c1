import type { Store } from '../../store.ts'
import type { DemoHost } from './demo-hosts.ts'

const ACTIONS = ['login', 'acknowledge-alert', 'change-rule', 'export-evidence', 'logout'] as const

/** Appends a few entries to the first host's chain, and verifies the whole of it. */
export async function appendDemoAudit(
  store: Store,
  hosts: readonly DemoHost[],
  say: (line: string) => void,
): Promise<void> {
  const host = hosts[0]
  if (!host) return
  const { hostId, hostname } = host
  await store.appendAuditEntries(
    hostId,
    ACTIONS.map(action => ({ action, actor: 'demo' })),
  )
  const { verdict, findings } = await store.verifyAuditChain({ hostId })
  const { length } = await store.queryAuditEntries({ hostId })
  say(`audit     ${length} entries for ${hostname}, ${verdict}`)
  for (const { kind, sequenceNum } of findings)
    say(`          ${kind} at ${sequenceNum ?? 'no single entry'}`)
}
