import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NotFoundError, type Store, type TripwireRuleUpdate } from '../../src/index.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { newHost, openStore, rejection } from './fixtures.ts'

const database = useTestDatabase()
let store: Store
beforeAll(async () => {
  store = await openStore(database)
})
afterAll(() => store.close())

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
const UNKNOWN = '00000000-0000-0000-0000-0000000000cc'

describe('a tripwire rule', () => {
  it('is created, read, replaced and deleted', async () => {
    const hostId = await newHost(store)
    const created = await store.createRule({ hostId, ruleType: 'FILE', target: '/etc/passwd' })
    expect(created).toEqual({
      ruleId: expect.any(String),
      hostId,
      ruleType: 'FILE',
      target: '/etc/passwd',
      severity: 'WARN',
      enabled: true,
      createdAt: expect.stringMatching(ISO),
      updatedAt: created.createdAt,
    })
    expect(await store.getRule(created.ruleId)).toEqual(created)

    const changed = {
      ruleId: created.ruleId,
      hostId: null,
      ruleType: 'NETWORK',
      target: ':4444',
      severity: 'CRITICAL',
      enabled: false,
    } as const
    const updated = await store.updateRule(changed)
    expect(updated).toEqual({
      ...changed,
      createdAt: created.createdAt,
      updatedAt: expect.stringMatching(ISO),
    })
    expect(updated.updatedAt > created.updatedAt).toBe(true)
    expect(await store.getRule(created.ruleId)).toEqual(updated)

    expect(await store.deleteRule(created.ruleId)).toBe(true)
    expect(await store.getRule(created.ruleId)).toBeNull()
    expect(await store.deleteRule(created.ruleId)).toBe(false)
  })

  it('takes every field on creation', async () => {
    const rule = {
      ruleId: randomUUID(),
      hostId: await newHost(store),
      ruleType: 'PROCESS',
      target: 'nc -l 日本 😀 \\ "\'',
      severity: 'INFO',
      enabled: false,
    } as const
    expect(await store.createRule(rule)).toMatchObject(rule)
  })

  it('that is not there cannot be updated', async () => {
    const ruleId = randomUUID()
    const error = await rejection(
      store.updateRule({
        ruleId,
        hostId: null,
        ruleType: 'FILE',
        target: '/',
        severity: 'INFO',
        enabled: true,
      }),
    )
    expect(error).toBeInstanceOf(NotFoundError)
    expect(error).toMatchObject({ code: 'NOT_FOUND', kind: 'rule', id: ruleId })
  })

  it('of an unknown host is refused, on creation and on update', async () => {
    const rule = { hostId: UNKNOWN, ruleType: 'FILE', target: '/', severity: 'INFO', enabled: true } as const
    await expect(store.createRule(rule)).rejects.toMatchObject({ code: 'UNKNOWN_HOST', sqlState: '23503' })
    const { ruleId } = await store.createRule({ ...rule, hostId: null })
    await expect(store.updateRule({ ...rule, ruleId })).rejects.toMatchObject({ code: 'UNKNOWN_HOST' })
    expect(await store.getRule(ruleId)).toMatchObject({ hostId: null })
  })

  it('is not created twice under one id', async () => {
    const rule = { ruleId: randomUUID(), ruleType: 'FILE', target: '/' } as const
    await store.createRule(rule)
    await expect(store.createRule({ ...rule, target: '/other' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    })
    expect(await store.getRule(rule.ruleId)).toMatchObject({ target: '/' })
  })

  it.each(['hostId', 'ruleType', 'target', 'severity', 'enabled'] as const)(
    'is not updated without %s: an update replaces every field',
    async field => {
      const { ruleId } = await store.createRule({
        hostId: await newHost(store),
        ruleType: 'FILE',
        target: '/',
      })
      const before = await store.getRule(ruleId)
      const update = { ruleId, hostId: null, ruleType: 'FILE', target: '/', severity: 'INFO', enabled: true }
      const incomplete = { ...update, [field]: undefined } as unknown as TripwireRuleUpdate
      const outcome = await store.updateRule(incomplete).catch((error: unknown) => error)
      expect(await store.getRule(ruleId)).toEqual(before)
      expect(outcome).toMatchObject({ code: 'INVALID_INPUT', field: `rule.${field}` })
    },
  )
})

describe('listRules', () => {
  it('returns the rules of a host and the global ones, oldest first; without a host, all', async () => {
    const [host, other] = [await newHost(store), await newHost(store)]
    const make = async (hostId: string | null) =>
      (await store.createRule({ hostId, ruleType: 'FILE', target: '/list' })).ruleId
    const own = await make(host)
    const global = await make(null)
    const foreign = await make(other)
    const own2 = await make(host)
    const listed = async (hostId?: string) =>
      (await store.listRules(hostId)).filter(rule => rule.target === '/list').map(rule => rule.ruleId)
    expect(await listed(host)).toEqual([own, global, own2])
    expect(await listed(other)).toEqual([global, foreign])
    expect(await listed(UNKNOWN)).toEqual([global])
    expect(await listed()).toEqual([own, global, foreign, own2])
  })
})
