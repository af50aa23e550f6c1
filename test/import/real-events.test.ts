import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { importAlerts } from '../../src/import/import-alerts.ts'
import { RawJson } from '../../src/model/raw-json.ts'
import { MemoryTarget } from './memory-target.ts'

const FOLDER = new URL('../../../shared/data/', import.meta.url)
const FILES = [
  {
    name: 'empire_launcher_vbs_2020-09-04160940.ndjson.gz',
    lines: 2_067,
    hosts: ['MORDORDC.theshire.local', 'WORKSTATION5.theshire.local', 'WORKSTATION6.theshire.local'],
    alerts: 850,
    // Distinct events; here every one is.
    distinct: 850,
  },
  {
    name: 'sysmon_log4shell_cve2021_44228_java_serialized_object_2022-05-13045800.ndjson.gz',
    lines: 487,
    hosts: ['WORKSTATION5'],
    alerts: 322,
    // 92 lines repeat another one byte for byte: events of one tick of the clock, each of which is stored.
    distinct: 230,
  },
] as const

/** Written apart from the adapter on purpose. */
function isExpected(event: { Channel?: unknown; EventID?: unknown }): boolean {
  const process = [1, 5, 8, 10, 25]
  const network = [3, 22]
  const file = [2, 11, 15, 23, 26, 29]
  const registry = [12, 13, 14]
  const isListed = [process, network, file, registry].some(ids => ids.some(id => id === event.EventID))
  return event.Channel === 'Microsoft-Windows-Sysmon/Operational' && isListed
}

/** The events are not part of the project: they are read where the folder `shared` lies beside it. */
describe.each(FILES)('the recorded events of $name', file => {
  const path = new URL(file.name, FOLDER)
  const present = existsSync(path)
  const target = new MemoryTarget()
  let lines: string[] = []
  let expected: string[] = []

  beforeAll(() => {
    if (!present) return
    const content = gunzipSync(readFileSync(path)).toString('utf8')
    lines = content.split(/\r?\n/).filter(line => line !== '')
    expected = lines.filter(line => isExpected(JSON.parse(line)))
  })

  const whenPresent = it.skipIf(!present)
  const where = present ? '' : ' (skipped: the recorded events are not beside the repository)'

  whenPresent(`become the alerts that an independent count finds${where}`, async () => {
    const report = await importAlerts(target, createReadStream(path), { format: 'sysmon' })
    expect(lines).toHaveLength(file.lines)
    expect(expected).toHaveLength(file.alerts)
    expect(new Set(expected).size).toBe(file.distinct)
    expect(report).toMatchObject({
      lines: file.lines,
      alerts: file.alerts,
      stored: file.alerts,
      duplicates: 0,
      refused: 0,
      skipped: file.lines - file.alerts,
      unreadable: 0,
      problems: [],
      hosts: file.hosts.length,
    })
    expect(target.hosts.map(host => host.hostname).sort()).toEqual(file.hosts)
  })

  whenPresent(`are all kept, character by character, the equal ones too${where}`, () => {
    const details = [...target.alerts.values()].map(alert => String(alert.eventDetail))
    expect(details.toSorted()).toEqual(expected.toSorted())
  })

  whenPresent(`keep the time of Sysmon${where}`, () => {
    for (const alert of target.alerts.values()) {
      if (!(alert.eventDetail instanceof RawJson)) throw new Error('the detail is not the text of the event')
      const event = JSON.parse(alert.eventDetail.text)
      const utcTime: string = event.UtcTime ?? JSON.parse(event.EventData).UtcTime
      expect(alert.timestamp).toBe(`${utcTime.replace(' ', 'T').slice(0, 23)}000Z`)
    }
  })

  whenPresent(`are all duplicates when they are read again${where}`, async () => {
    const before = new Map(target.alerts)
    const report = await importAlerts(target, createReadStream(path), { format: 'sysmon' })
    expect(report).toMatchObject({ stored: 0, duplicates: file.alerts, hosts: 0 })
    expect(isDeepStrictEqual(target.alerts, before)).toBe(true)
  })
})
