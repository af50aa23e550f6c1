import type { NewTripwireRule } from '../../model/rule.ts'
import type { Store } from '../../store.ts'

export interface DemoHost {
  readonly hostId: string
  readonly hostname: string
}

const HOSTS = [
  { hostname: 'web-1', ipAddress: '192.0.2.11', platform: 'linux', status: 'ONLINE' },
  { hostname: 'web-2', ipAddress: '192.0.2.12', platform: 'linux', status: 'ONLINE' },
  { hostname: 'db-1', ipAddress: '2001:db8::21', platform: 'linux', status: 'DEGRADED' },
  { hostname: 'laptop-7', ipAddress: '198.51.100.0/28', platform: 'windows', status: 'ONLINE' },
  { hostname: 'build-3', ipAddress: '203.0.113.3', platform: 'darwin', status: 'OFFLINE' },
] as const

/** Registers the hosts, or finds them registered. */
export async function registerDemoHosts(
  store: Store,
  say: (line: string) => void,
): Promise<readonly DemoHost[]> {
  const hosts: DemoHost[] = []
  for (const host of HOSTS) {
    const hostId = await store.upsertHost({ ...host, agentVersion: '1.4.2', lastSeen: new Date() })
    hosts.push({ hostId, hostname: host.hostname })
  }
  say(`hosts     ${hosts.length} registered: ${hosts.map(host => host.hostname).join(', ')}`)
  return hosts
}

/** Adds the rules where they are missing: a rule is known by its target and its host. */
export async function registerDemoRules(
  store: Store,
  hosts: readonly DemoHost[],
  say: (line: string) => void,
): Promise<void> {
  const database = hosts.find(host => host.hostname === 'db-1')
  const wanted: readonly NewTripwireRule[] = [
    { ruleType: 'FILE', target: '/etc/passwd', severity: 'CRITICAL' },
    { ruleType: 'PROCESS', target: 'nc -l*', severity: 'WARN' },
    { ruleType: 'NETWORK', target: '0.0.0.0/0:4444', severity: 'CRITICAL' },
    {
      ruleType: 'FILE',
      target: '/var/lib/postgresql/**',
      severity: 'WARN',
      hostId: database?.hostId ?? null,
    },
  ]
  const known = await store.listRules()
  const missing = wanted.filter(
    rule => !known.some(each => each.target === rule.target && each.hostId === (rule.hostId ?? null)),
  )
  for (const rule of missing) await store.createRule(rule)
  say(`rules     ${wanted.length} in force, ${missing.length} of them new; one is for db-1 alone`)
}
