import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RetentionOptions, Store, TripwireRule } from '../../src/index.ts'
import { runCli } from '../cli/run-cli.ts'
import { insertHost, makeMonth, monthFromNow, partitionNames } from '../partitions/fixtures.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { type FaultSpec, startWireProxy } from '../support/wire-proxy.ts'
import { problemsOf, readChain } from './specified-chain.ts'

const database = useTestDatabase()
let store: Store
let archiveDir: string
beforeAll(async () => {
  store = await openStore(database)
  archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-archive-'))
  for (const partition of await partitionNames(database)) await database.sql(`DROP TABLE ${partition}`)
})
afterAll(async () => {
  await store.close()
  await rm(archiveDir, { recursive: true, force: true })
})

const AT_COMMIT = { from: 'client', message: 'Query', text: /^COMMIT/ } as const
const CUT_BEFORE_COMMIT: FaultSpec = { when: AT_COMMIT, action: 'cut-before' }

/** What the audit log tells of a host, by its id; without one, of the storage itself. */
async function toldOf(hostId?: string): Promise<readonly unknown[]> {
  const chain = hostId ?? (await store.listHosts()).find(host => host.hostname === 'tripwire-storage')?.hostId
  if (chain === undefined) return []
  expect(problemsOf(await readChain(database, chain))).toEqual([])
  return (await store.queryAuditEntries({ hostId: chain })).map(entry => entry.payload.parse())
}

const update = ({ createdAt: _, updatedAt: __, ...rule }: TripwireRule, changes: Partial<TripwireRule>) => ({
  ...rule,
  ...changes,
})

describe('a change of a rule by a named actor', () => {
  it('is told in the chain of its host, with what was before', async () => {
    const hostId = await newHost(store)
    const options = { actor: 'zoë' }
    const created = await store.createRule({ hostId, ruleType: 'FILE', target: '/etc/passwd' }, options)
    const updated = await store.updateRule(update(created, { enabled: false }), options)
    expect(await store.deleteRule(created.ruleId, options)).toBe(true)
    expect(await toldOf(hostId)).toEqual([
      { action: 'create-rule', actor: 'zoë', before: null, after: created },
      { action: 'update-rule', actor: 'zoë', before: created, after: updated },
      { action: 'delete-rule', actor: 'zoë', before: updated, after: null },
    ])
  })

  it('is told of a global rule in the chain of the storage', async () => {
    const before = await toldOf()
    const options = { actor: 'zoë' }
    const created = await store.createRule({ ruleType: 'NETWORK', target: ':4444' }, options)
    expect(await toldOf()).toEqual([
      ...before,
      { action: 'create-rule', actor: 'zoë', before: null, after: created },
    ])
  })

  it('is told in both chains when the rule moves to another host', async () => {
    const [from, to] = [await newHost(store), await newHost(store)]
    const created = await store.createRule({ hostId: from, ruleType: 'FILE', target: '/a' })
    const moved = await store.updateRule(update(created, { hostId: to }), { actor: 'zoë' })
    const told = [{ action: 'update-rule', actor: 'zoë', before: created, after: moved }]
    expect([await toldOf(from), await toldOf(to)]).toEqual([told, told])
    const global = await store.updateRule(update(moved, { hostId: null }), { actor: 'zoë' })
    expect((await toldOf(to)).at(-1)).toEqual((await toldOf()).at(-1))
    expect((await toldOf()).at(-1)).toMatchObject({ before: moved, after: global })
  })

  it('is not told when nothing changes, or when nobody is named', async () => {
    const hostId = await newHost(store)
    const rule = {
      ruleId: randomUUID(),
      hostId,
      ruleType: 'FILE',
      target: '/',
      severity: 'INFO',
      enabled: true,
    } as const
    const options = { actor: 'zoë' }
    expect(await rejection(store.updateRule(rule, options))).toMatchObject({ code: 'NOT_FOUND' })
    expect(await store.deleteRule(rule.ruleId, options)).toBe(false)
    await store.createRule(rule)
    expect(await rejection(store.createRule(rule, options))).toMatchObject({ code: 'ALREADY_EXISTS' })
    await store.updateRule({ ...rule, target: '/etc' })
    await store.deleteRule(rule.ruleId)
    expect(await toldOf(hostId)).toEqual([])
  })

  it.each([
    ['actor', ''],
    ['actor', 7],
    ['actor', 'x'.repeat(256)],
    ['aktor', 'zoë'],
  ])('is refused with the options %s: %j', async (name, value) => {
    const options = { [name]: value } as object
    const call = store.createRule({ ruleType: 'FILE', target: '/' }, options)
    expect(await rejection(call)).toMatchObject({ field: `options.${name}` })
  })

  it('is told once for each of many changes at once, over two hosts in turns', async () => {
    const hostIds = [await newHost(store), await newHost(store)] as const
    const rules = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        store.createRule({ hostId: hostIds[index % 2] ?? null, ruleType: 'FILE', target: `/${index}` }),
      ),
    )
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        rules.map((rule, index) =>
          store.updateRule(update(rule, { hostId: hostIds[(index + round) % 2] ?? null }), { actor: 'zoë' }),
        ),
      )
    }
    const told = [...(await toldOf(hostIds[0])), ...(await toldOf(hostIds[1]))]
    expect(told.length).toBeGreaterThanOrEqual(18)
  })

  it('leaves neither the change nor what tells it when the transaction does not get through', async () => {
    await using proxy = await startWireProxy({ target: database.connectionString })
    await using through = await openStore(proxy)
    const hostId = await newHost(store)
    const options = { actor: 'zoë' }
    const created = await store.createRule({ hostId, ruleType: 'FILE', target: '/etc/passwd' })
    const changes = [
      () => through.createRule({ hostId, ruleType: 'FILE', target: '/new' }, options),
      () => through.updateRule(update(created, { target: '/changed' }), options),
      () => through.deleteRule(created.ruleId, options),
    ]
    for (const change of changes) {
      const fault = proxy.inject(CUT_BEFORE_COMMIT)
      expect(await rejection(change())).toMatchObject({ code: 'CONNECTION_FAILED' })
      await fault.settled
    }
    const rules = (await store.listRules(hostId)).filter(rule => rule.hostId === hostId)
    expect(rules).toEqual([created])
    expect(await toldOf(hostId)).toEqual([])
  })
})

describe('a retention by a named actor', () => {
  const options: RetentionOptions = { keepMonths: 1, actor: 'zoë' }

  it('tells when a month begins to leave and when it is dropped, with its archive', async () => {
    const before = (await toldOf()).length
    const partition = await makeMonth(database, monthFromNow(-3), await insertHost(database), 10)
    const report = await store.applyRetention({ ...options, archiveDir })
    expect(report.failures).toEqual([])
    const digest = expect.stringMatching(/^[0-9a-f]{64}$/)
    const archive = {
      manifest: report.retired[0]?.manifest,
      rows: 10,
      contentSha256: digest,
      fileSha256: digest,
    }
    const month = { actor: 'zoë', partition, from: report.retired[0]?.from, to: report.retired[0]?.to }
    expect((await toldOf()).slice(before)).toEqual([
      { action: 'retire-month', ...month },
      { action: 'drop-month', ...month, archive },
    ])
  })

  it('drops no month whose drop is not told, and tells of it once when it is tried again', async () => {
    const before = (await toldOf()).length
    const partition = await makeMonth(database, monthFromNow(-4), await insertHost(database), 10)
    await using proxy = await startWireProxy({ target: database.connectionString })
    await using through = await openStore(proxy)
    const fault = proxy.inject({
      when: { from: 'client', message: 'Parse', text: /INSERT INTO audit_entries/, nth: 2 },
      action: 'cut-after',
    })
    const cut = await through.applyRetention({ ...options, archiveDir })
    await fault.settled
    expect(cut.failures).toMatchObject([{ action: 'retire', partition }])
    expect((await toldOf()).slice(before)).toMatchObject([{ action: 'retire-month' }])
    expect(await database.sql(`SELECT FROM ${partition}`)).toHaveLength(10)
    const again = await store.applyRetention({ ...options, archiveDir })
    expect(again).toMatchObject({ failures: [], retired: [{ partition, outcome: 'dropped' }] })
    expect((await toldOf()).slice(before)).toMatchObject([
      { action: 'retire-month' },
      { action: 'drop-month' },
    ])
    expect(await partitionNames(database)).not.toContain(partition)
  })

  it('is also what the options of a store name', async () => {
    const before = (await toldOf()).length
    await makeMonth(database, monthFromNow(-5), await insertHost(database), 1)
    await using maintaining = await openStore(database, { retention: options })
    expect((await maintaining.runMaintenance()).retired).toMatchObject([{ outcome: 'detached' }])
    expect((await toldOf()).slice(before)).toMatchObject([{ action: 'retire-month', actor: 'zoë' }])
  })

  it('is refused with an actor that is no name', async () => {
    const call = store.applyRetention({ ...options, actor: '' })
    expect(await rejection(call)).toMatchObject({ field: 'options.actor' })
  })
})

describe('the command', () => {
  const run = (...argv: readonly string[]) => runCli(database.connectionString, argv)

  it('takes the actor of a change', async () => {
    const hostId = await newHost(store)
    const actor = ['--actor', 'zoë'] as const
    const added = await run('rules', 'add', '/etc/shadow', '--type', 'file', '--host', hostId, ...actor)
    const ruleId = added.stdout.trim()
    for (const change of ['disable', 'enable', 'remove']) {
      expect(await run('rules', change, ruleId, ...actor)).toMatchObject({ exitCode: 0 })
    }
    expect(await toldOf(hostId)).toMatchObject([
      { action: 'create-rule', actor: 'zoë', after: { ruleId, enabled: true } },
      { action: 'update-rule', before: { enabled: true }, after: { enabled: false } },
      { action: 'update-rule', before: { enabled: false }, after: { enabled: true } },
      { action: 'delete-rule', before: { ruleId } },
    ])
    await makeMonth(database, monthFromNow(-6), hostId, 1)
    const before = (await toldOf()).length
    expect(await run('partitions', 'retain', '--keep-months', '1', ...actor)).toMatchObject({ exitCode: 0 })
    expect((await toldOf()).slice(before)).toMatchObject([{ action: 'retire-month', actor: 'zoë' }])
  })
})
