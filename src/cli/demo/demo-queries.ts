import { SEVERITY_LEVELS } from '../../model/alert.ts'
import type { Store } from '../../store.ts'
import type { TextOutput } from '../command-context.ts'
import { grouped, writeTable } from '../output.ts'
import type { DemoHost } from './demo-hosts.ts'

const LAST_HOUR_MS = 3_600_000
const MOST_COUNTED = 10_000

/** Asks what a dashboard asks, and prints the answers. */
export async function showDemoQueries(
  store: Store,
  hosts: readonly DemoHost[],
  output: TextOutput,
): Promise<void> {
  const from = new Date(Date.now() - LAST_HOUR_MS)
  const to = new Date(Date.now() + 1000)
  const counts: string[] = []
  for (const severity of SEVERITY_LEVELS) {
    const { alerts } = await store.queryAlerts({ from, to, severity, limit: MOST_COUNTED })
    counts.push(`${grouped(alerts.length)}${alerts.length === MOST_COUNTED ? ' or more' : ''} ${severity}`)
  }
  output.write(`queries   received in the last hour: ${counts.join(', ')}\n`)

  const { alerts } = await store.queryAlerts({ from, to, severity: 'CRITICAL', limit: 5 })
  const hostnames = new Map(hosts.map(host => [host.hostId, host.hostname]))
  output.write('          the newest CRITICAL ones:\n\n')
  writeTable(output, alerts, [
    { title: '  RECEIVED', value: alert => `  ${alert.receivedAt}` },
    { title: 'HOST', value: alert => hostnames.get(alert.hostId) },
    { title: 'TYPE', value: alert => alert.tripwireType },
    { title: 'DETAIL', value: alert => alert.eventDetail?.text },
  ])
  output.write('\n')
}
