/** The audit log on a hot standby. */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { generateAuditKey, migrateUp, verifyAuditEvidence } from '../../src/index.ts'
import { newHost, openStore, rejection } from '../store/fixtures.ts'
import { startReplicatedServer } from '../support/standby.ts'

it('the audit log is verified, signed and exported on a standby, as far as it has replayed', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tripwire-standby-audit-'))
  await using disposables = new AsyncDisposableStack()
  disposables.defer(() => rm(folder, { recursive: true }))
  const servers = disposables.use(await startReplicatedServer())
  await migrateUp({ connectionString: servers.primary.connectionString })
  const primary = disposables.use(await openStore(servers.primary))
  const hostId = await newHost(primary)
  const { privateKey, publicKey } = generateAuditKey('example.com/audit')
  const ofPrimary = join(folder, 'primary.checkpoint')
  const ofStandby = join(folder, 'standby.checkpoint')
  await primary.appendAuditEntries(hostId, [{ n: 1 }, { n: 2 }])
  await primary.createAuditCheckpoint({ key: privateKey, out: ofPrimary })
  await servers.replayed()
  const standby = disposables.use(await openStore(servers.standby))

  expect(await standby.queryAuditEntries({ hostId })).toEqual(await primary.queryAuditEntries({ hostId }))
  const intact = { verdict: 'intact', entries: 2, findings: [] }
  expect(await standby.verifyAuditChain({ checkpoint: ofPrimary, key: publicKey })).toMatchObject(intact)
  await standby.createAuditCheckpoint({ key: privateKey, previous: ofPrimary, out: ofStandby })
  expect(await primary.verifyAuditChain({ checkpoint: ofStandby, key: publicKey })).toMatchObject(intact)
  const bundle = join(folder, 'host.evidence')
  await standby.exportAuditEvidence({ hostId, checkpoint: ofStandby, key: publicKey, out: bundle })
  expect(await verifyAuditEvidence({ bundle, key: publicKey })).toMatchObject({ verdict: 'intact' })
  const pruning = standby.pruneAuditChain({ hostId, bundle, key: privateKey, actor: 'zoe' })
  expect(await rejection(pruning)).toMatchObject({ code: 'QUERY_FAILED', sqlState: '25006' })

  await servers.partWays()
  await primary.appendAuditEntries(hostId, [{ n: 3 }])
  const newer = join(folder, 'newer.checkpoint')
  await primary.createAuditCheckpoint({ key: privateKey, out: newer })
  expect(await standby.verifyAuditChain({ checkpoint: newer, key: publicKey })).toMatchObject({
    verdict: 'cannot-tell',
    findings: [{ kind: 'standby-behind', sequenceNum: '3' }],
  })
})
