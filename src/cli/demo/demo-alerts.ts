import type { NewAlert, SeverityLevel } from '../../model/alert.ts'
import { TRIPWIRE_TYPES, type TripwireType } from '../../model/alert.ts'
import type { JsonValue } from '../../model/raw-json.ts'
import type { Store } from '../../store.ts'
import { grouped } from '../output.ts'
import type { DemoHost } from './demo-hosts.ts'

const ALERTS = 3000
const OLDEST_AGE_MS = 3_600_000

const RULE_NAMES: { readonly [type in TripwireType]: string } = {
  FILE: 'watched-file-changed',
  NETWORK: 'unexpected-connection',
  PROCESS: 'unexpected-process',
}

/** Hands a few thousand alerts to the batch, one by one, as the request handlers of a server would. */
export async function insertDemoAlerts(
  store: Store,
  hosts: readonly DemoHost[],
  say: (line: string) => void,
): Promise<void> {
  const startedAt = performance.now()
  for (let index = 0; index < ALERTS; index++) {
    const host = hosts[index % hosts.length]
    if (host) await store.batchInsertAlerts(makeAlert(index, host))
  }
  await store.flush()
  const seconds = (performance.now() - startedAt) / 1000
  const { stored } = store.stats()
  say(`alerts    ${grouped(stored)} stored in batches of 100, in ${seconds.toFixed(2)} s`)
}

function makeAlert(index: number, host: DemoHost): NewAlert {
  const tripwireType = TRIPWIRE_TYPES[index % TRIPWIRE_TYPES.length] ?? 'FILE'
  return {
    hostId: host.hostId,
    timestamp: new Date(Date.now() - Math.random() * OLDEST_AGE_MS),
    tripwireType,
    ruleName: RULE_NAMES[tripwireType],
    severity: severityOf(index),
    eventDetail: detailOf(tripwireType, index),
  }
}

/** About 90 % INFO, 9 % WARN, 1 % CRITICAL. */
function severityOf(index: number): SeverityLevel {
  if (index % 97 === 7) return 'CRITICAL'
  return index % 11 === 3 ? 'WARN' : 'INFO'
}

function detailOf(tripwireType: TripwireType, index: number): JsonValue {
  if (tripwireType === 'FILE')
    return { path: `/etc/cron.d/job-${index % 40}`, operation: 'write', uid: index % 5 }
  if (tripwireType === 'NETWORK')
    return { remote: `198.51.100.${index % 250}`, port: 1024 + (index % 4000), protocol: 'tcp' }
  return {
    image: `/usr/local/bin/tool-${index % 30}`,
    pid: 2000 + index,
    arguments: ['--quiet', `--run=${index}`],
  }
}
