import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type AuditKey, generateAuditKey, Store, verifyAuditEvidence } from '../../src/index.ts'
import type { BenchDatabase } from '../support/bench-database.ts'
import { measure } from '../support/measure.ts'
import { fixed, formatTable, grouped } from '../support/table.ts'
import { payloadAt } from './bench-chain.ts'
import { addHosts, fillLog } from './fill-log.ts'

const NEW_ENTRIES_A_HOST = 5
const KILOBYTE = 1000

/** One run, to give an idea. */
export interface SigningFigures {
  readonly step: string
  readonly entries: number
  readonly seconds: number
  readonly fileBytes: number
}

export interface Signing {
  readonly key: AuditKey
  readonly folder: string
}

export async function prepareSigning(serverFolder: string): Promise<Signing> {
  const folder = join(serverFolder, 'audit')
  await mkdir(folder)
  return { key: generateAuditKey('bench.example/audit'), folder }
}

/** Checkpoints of a log that was never signed: the first one verifies everything, later ones what is new. */
export async function measureCheckpoint(
  { connectionString }: BenchDatabase,
  hostIds: readonly string[],
  { key, folder }: Signing,
): Promise<readonly SigningFigures[]> {
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const sign = (step: string) =>
    measureStep(`createAuditCheckpoint: ${step}`, () => signOnce(store, key, folder))
  const first = await sign('the first')
  const payloads = Array.from({ length: NEW_ENTRIES_A_HOST }, (_, index) => payloadAt(index))
  await Promise.all(hostIds.map(hostId => store.appendAuditEntries(hostId, payloads)))
  const next = await sign('with new entries of each host')
  return [first, next, await sign('with nothing new')]
}

/** A bundle of the whole chain of a host that has so many entries. */
export async function measureEvidence(
  { client, connectionString }: BenchDatabase,
  entries: number,
  { key, folder }: Signing,
): Promise<readonly SigningFigures[]> {
  const hostIds = await addHosts(client, 1)
  const [hostId = ''] = hostIds
  await fillLog(client, hostIds, entries)
  await using store = await Store.open({ connectionString, maintenanceIntervalMs: 0 })
  const { files } = await store.createAuditCheckpoint({ key: key.privateKey, folder })
  const bundle = join(folder, 'whole-chain.evidence')
  const exported = await measureStep('exportAuditEvidence', async () => {
    const evidence = await store.exportAuditEvidence({
      hostId,
      checkpoint: files[0] ?? '',
      key: key.publicKey,
      out: bundle,
    })
    return { entries: evidence.entries, path: bundle }
  })
  const verified = await measureStep('verifyAuditEvidence', async () => {
    const { verdict, recomputed } = await verifyAuditEvidence({ bundle, key: key.publicKey })
    if (verdict !== 'intact' || recomputed !== entries)
      throw new Error(`${verdict}: ${recomputed} of ${entries} entries were recomputed`)
    return { entries: recomputed, path: bundle }
  })
  return [exported, verified]
}

interface StepResult {
  readonly entries: number
  readonly path: string
}

async function signOnce(store: Store, key: AuditKey, folder: string): Promise<StepResult> {
  const { verifiedEntries, files } = await store.createAuditCheckpoint({ key: key.privateKey, folder })
  return { entries: verifiedEntries, path: files[0] ?? '' }
}

async function measureStep(step: string, work: () => Promise<StepResult>): Promise<SigningFigures> {
  let result: StepResult = { entries: Number.NaN, path: '' }
  const { seconds } = await measure(1, async () => {
    result = await work()
  })
  const { size: fileBytes } = await stat(result.path)
  return { step, entries: result.entries, seconds, fileBytes }
}

export function formatSigning(figures: readonly SigningFigures[], hosts: number): string {
  const table = formatTable(figures, [
    { title: 'signing', value: row => row.step, align: 'left' },
    { title: 'entries', value: row => grouped(row.entries) },
    { title: 'seconds', value: row => fixed(row.seconds, 3) },
    {
      title: 'entries/s',
      value: row => (row.entries === 0 ? '-' : grouped(row.entries / row.seconds)),
    },
    { title: 'file, kB', value: row => fixed(row.fileBytes / KILOBYTE, 1) },
  ])
  return `Signed checkpoints over ${hosts} hosts, with the entries verified before, and evidence; one run each\n${table}`
}
