import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { openStore } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/

describe('upsertHost', () => {
  it('registers a new host under the id that is given, and getHost returns every field', async () => {
    const hostId = randomUUID()
    const host = {
      hostId,
      hostname: 'full',
      ipAddress: '192.0.2.7',
      platform: 'linux/amd64',
      agentVersion: '1.4.2',
      lastSeen: '2026-03-01T12:00:00.123456+02:00',
      status: 'ONLINE',
    } as const
    expect(await store.upsertHost(host)).toBe(hostId)
    expect(await store.getHost(hostId)).toEqual({
      ...host,
      lastSeen: '2026-03-01T10:00:00.123456Z',
      createdAt: expect.stringMatching(ISO),
    })
  })

  it('makes an id, and takes OFFLINE and NULL for what is absent', async () => {
    const hostId = await store.upsertHost({ hostname: 'bare' })
    expect(await store.getHost(hostId)).toEqual({
      hostId,
      hostname: 'bare',
      ipAddress: null,
      platform: null,
      agentVersion: null,
      lastSeen: null,
      status: 'OFFLINE',
      createdAt: expect.stringMatching(ISO),
    })
  })

  it('keeps the id and createdAt of a known hostname, returns that id, and replaces the rest', async () => {
    const first = await store.upsertHost({ hostname: 'again', platform: 'linux', status: 'ONLINE' })
    const before = await store.getHost(first)
    const second = await store.upsertHost({
      hostId: randomUUID(),
      hostname: 'again',
      ipAddress: '2001:db8::1',
      status: 'DEGRADED',
    })
    expect(second).toBe(first)
    expect(await store.getHost(first)).toEqual({
      ...before,
      ipAddress: '2001:db8::1',
      platform: null,
      status: 'DEGRADED',
    })
  })

  it('gives eight callers at once the same id', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => store.upsertHost({ hostname: 'raced' })))
    expect(new Set(ids).size).toBe(1)
    expect(await database.sql(`SELECT FROM hosts WHERE hostname = 'raced'`)).toHaveLength(1)
  })

  it('refuses the id of a host with another name', async () => {
    const hostId = await store.upsertHost({ hostname: 'owner' })
    await expect(store.upsertHost({ hostId, hostname: 'thief' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      sqlState: '23505',
    })
    expect(await store.getHost(hostId)).toMatchObject({ hostname: 'owner' })
  })

  it('takes every status', async () => {
    for (const status of ['ONLINE', 'OFFLINE', 'DEGRADED'] as const) {
      const hostId = await store.upsertHost({ hostname: 'status', status })
      expect(await store.getHost(hostId)).toMatchObject({ status })
    }
  })

  it('takes the id in capitals for the same id', async () => {
    const hostId = randomUUID()
    expect(await store.upsertHost({ hostId: hostId.toUpperCase(), hostname: 'capitals' })).toBe(hostId)
    expect(await store.getHost(hostId.toUpperCase())).toMatchObject({ hostId })
  })
})

describe('reading hosts', () => {
  it('returns null for an id that is not registered', async () => {
    expect(await store.getHost(randomUUID())).toBeNull()
  })

  it('lists all hosts, ordered by hostname', async () => {
    for (const hostname of ['list-c', 'list-a', 'list-b']) await store.upsertHost({ hostname })
    const hosts = await store.listHosts()
    const listed = hosts.map(host => host.hostname).filter(name => name.startsWith('list-'))
    expect(listed).toEqual(['list-a', 'list-b', 'list-c'])
    const rows = await database.sql('SELECT host_id FROM hosts ORDER BY hostname')
    expect(hosts.map(host => host.hostId)).toEqual(rows.map(row => row['host_id']))
    for (const host of hosts) expect(await store.getHost(host.hostId)).toEqual(host)
  })
})
