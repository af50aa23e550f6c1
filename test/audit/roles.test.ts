import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Store } from '../../src/index.ts'
import { connectClient } from '../partitions/fixtures.ts'
import { newAlert, newHost, openStore } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()
const RECIPE = readFileSync(new URL('../../db/roles.sql', import.meta.url), 'utf8')
const login = `dashboard_${randomUUID().slice(0, 8)}`
let connectionString: string

beforeAll(async () => {
  await database.sql(RECIPE)
  // It can be run again.
  await database.sql(RECIPE)
  await database.sql(`CREATE ROLE ${login} LOGIN PASSWORD 'p' IN ROLE tripwire_writer, tripwire_reader`)
  const url = new URL(database.connectionString)
  url.username = login
  url.password = 'p'
  connectionString = url.toString()
})
afterAll(async () => {
  await database.sql(`DROP OWNED BY ${login}; DROP ROLE ${login}`)
  await database.sql(
    'DROP OWNED BY tripwire_writer, tripwire_reader; DROP ROLE tripwire_writer, tripwire_reader',
  )
})

describe('the writer of the role recipe', () => {
  it('does everything that a dashboard server does', async () => {
    await using store = await openStore({ connectionString })
    const hostId = await newHost(store)
    const alert = newAlert(hostId, { receivedAt: '2024-01-05T00:00:00Z' })
    const receipts = await store.insertAlerts([alert, alert, newAlert(randomUUID())])
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['stored', 'duplicate', 'rejected'])
    expect(await store.redriveDeadLetters()).toMatchObject({ refused: 1 })
    await store.appendAuditEntries(hostId, [{ n: 1 }, { n: 2 }])
    const [, last] = await store.queryAuditEntries({ hostId })
    const next = {
      hostId,
      sequenceNum: 3,
      prevHash: last?.eventHash ?? '',
      eventHash: 'a'.repeat(64),
      payload: {},
    }
    await store.insertAuditEntry(next)
    const rule = await store.createRule({ ruleType: 'FILE', target: '/etc' })
    expect(await store.deleteRule(rule.ruleId)).toBe(true)
    expect((await store.ensurePartitions({ monthsAhead: 1 })).length).toBe(2)
    expect(await store.verifyAuditChain({ hostId })).toMatchObject({ verdict: 'intact', findings: [] })
    expect((await store.listPartitions()).length).toBeGreaterThan(2)
  })

  it.each([
    'UPDATE audit_entries SET payload = NULL',
    'DELETE FROM audit_entries',
    'TRUNCATE audit_entries',
    `INSERT INTO audit_prunings (host_id, through_sequence, through_event_hash, through_link_hash, through_created_at, manifest) SELECT host_id, 1, '', '', now(), '' FROM hosts`,
    'ALTER TABLE audit_entries DISABLE TRIGGER ALL',
    'DROP TABLE audit_entries',
    'UPDATE alerts SET rule_name = rule_name',
    'DELETE FROM alerts',
    'TRUNCATE alerts',
    'DELETE FROM hosts',
  ])('may not %s', async sql => {
    await using client = await connectClient(connectionString)
    await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' })
  })

  it('alone, without the reader, appends to the audit log and reads nothing of it', async () => {
    const writer = `writer_${randomUUID().slice(0, 8)}`
    await database.sql(`CREATE ROLE ${writer} LOGIN PASSWORD 'p' IN ROLE tripwire_writer`)
    try {
      const url = new URL(connectionString)
      url.username = writer
      await using store = await Store.open({ connectionString: url.toString(), maintenanceIntervalMs: 0 })
      const hostId = await newHost(store)
      const entries = await store.appendAuditEntries(hostId, [{ n: 1 }])
      expect(entries.map(({ sequenceNum }) => sequenceNum)).toEqual([1])
      await expect(store.queryAuditEntries({ hostId })).rejects.toMatchObject({ sqlState: '42501' })
      await using client = await connectClient(url.toString())
      await expect(client.query('SELECT FROM audit_entries')).rejects.toMatchObject({ code: '42501' })
    } finally {
      await database.sql(`DROP OWNED BY ${writer}; DROP ROLE ${writer}`)
    }
  })
})
