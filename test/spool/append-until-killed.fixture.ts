/** Appends batches for ever and prints, after each, how many alerts are acknowledged. With batches of 0 it only holds the spool. */
import { Spool } from '../../src/spool/spool.ts'
import type { SpooledAlert } from '../../src/spool/spooled-alert.ts'

const [folder = '', batchText = '0', firstText = '0'] = process.argv.slice(2)
const batch = Number(batchText)
const spool = Spool.open({ folder })
let next = Number(firstText)

function alertNumber(number: number): SpooledAlert {
  return {
    alertId: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    hostId: '5f0c2f43-8a55-4a7f-9d4c-0a3a2b1c0d9e',
    timestamp: '2026-02-03T04:05:06.123456Z',
    tripwireType: 'FILE',
    ruleName: `rule ${number}`,
    eventDetail: null,
    severity: 'INFO',
    receivedAt: '2026-02-03T04:05:07.000001Z',
  }
}

function appendBatch(): void {
  spool.append(Array.from({ length: batch }, (_, index) => alertNumber(next + index)))
  next += batch
  process.stdout.write(`${next}\n`)
}

if (batch === 0) {
  process.stdout.write('open\n')
  setInterval(() => spool.size, 1000)
} else {
  setInterval(appendBatch, 0)
}
