/**
 * A process that reads the newest alerts of TRIPWIRE_DATABASE_URL once, and prints what it took: how (`stream` or `copy`), how
 * many, and since when.
 */
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { Store } from '../../src/index.ts'
import { CopyOut } from '../peers/copy-out.ts'
import { connect } from '../support/connect.ts'
import { runReading } from '../support/reading-process.ts'
import { READINGS, type Reading } from './reading.ts'

type Read = (connectionString: string, from: string, onAlerts: (alerts: number) => void) => Promise<number>

const LINE_FEED = 0x0a
/** How often the memory is asked for its step. */
const EVERY_ALERTS = 1000

function copyNewest(from: string): string {
  return `
  COPY (
    SELECT *
    FROM alerts
    WHERE received_at >= '${from}'
    ORDER BY received_at DESC, alert_id DESC
  ) TO STDOUT`
}

const readings: Readonly<Record<Reading, Read>> = {
  async stream(connectionString, from, onAlerts) {
    await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
    let alerts = 0
    for await (const alert of store.streamAlerts({ from })) {
      if (alert.alertId !== '' && ++alerts % EVERY_ALERTS === 0) onAlerts(alerts)
    }
    return alerts
  },

  /** As text, in the same order, with each row thrown away: the fastest way out of PostgreSQL for one client. */
  async copy(connectionString, from, onAlerts) {
    const client = await connect(connectionString)
    let alerts = 0
    try {
      const counter = new Writable({
        write(chunk: Buffer, _, done) {
          for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) alerts++
          onAlerts(alerts)
          done()
        },
      })
      await client.query(new CopyOut(copyNewest(from), counter)).done
      counter.end()
      await finished(counter)
    } finally {
      await client.end()
    }
    return alerts
  },
}

const [name = '', expected = '', from = ''] = process.argv.slice(2)
const reading = READINGS.find(each => each === name)
if (!reading) throw new Error(`no such reading: ${name}`)
await runReading(Number(expected), onAlerts =>
  readings[reading](process.env['TRIPWIRE_DATABASE_URL'] ?? '', from, onAlerts),
)
