/** Folders, owners in processes of their own, and connections for the tests of the embedded server. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { Deadline, pollUntil } from '../../src/embedded/deadline.ts'
import type { EmbeddedPostgres } from '../../src/embedded/index.ts'
import { processRuns } from '../../src/embedded/process-status.ts'
import { TripwireStorageError } from '../../src/errors.ts'

/** Nothing of these tests has to survive a power cut. */
export const FAST = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }

export const OWNER_FIXTURE = fileURLToPath(new URL('./owner.fixture.ts', import.meta.url))

/** A folder that is removed when the test ends, after the servers of the test were stopped. */
export function temporaryFolder(mode = 0o755, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'tripwire-embedded-'))
  chmodSync(folder, mode)
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  return folder
}

/** Stops the server when the test ends, also when it failed. */
export function stopAfterTest(server: EmbeddedPostgres): EmbeddedPostgres {
  onTestFinished(() => server.stop())
  return server
}

export async function query(connectionString: string, sql: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    return rows.flat()
  } finally {
    await client.end()
  }
}

export async function failureOf(start: Promise<EmbeddedPostgres>): Promise<TripwireStorageError> {
  try {
    await (await start).stop()
  } catch (error) {
    if (error instanceof TripwireStorageError) return error
    throw error
  }
  throw new Error('the start was expected to fail')
}

export interface OwnerReport {
  readonly pid: number
  readonly connectionString: string
  readonly code?: string
  readonly message?: string
  readonly hint?: string
}

export interface Identity {
  readonly uid: number
  readonly gid: number
}

/** Starts a process that owns a server. It is killed when the test ends. */
export function spawnOwner(
  options: object,
  identity: Partial<Identity> = {},
  fixture = OWNER_FIXTURE,
): ChildProcess {
  const args = ['--disable-warning=ExperimentalWarning', fixture, JSON.stringify(options)]
  const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
  const owner = spawn(process.execPath, args, { ...identity, stdio, cwd: '/' })
  onTestFinished(async () => {
    owner.stdin?.end()
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit')
  })
  return owner
}

export async function reportOf(owner: ChildProcess): Promise<OwnerReport> {
  if (owner.stdout === null) throw new Error('the owner has no output')
  for await (const line of createInterface(owner.stdout)) return JSON.parse(line)
  throw new Error('the owner ended without a report')
}

export async function killHard(owner: ChildProcess): Promise<void> {
  const exited = once(owner, 'exit')
  owner.kill('SIGKILL')
  await exited
}

export async function until(condition: () => boolean): Promise<void> {
  if (!(await pollUntil(condition, new Deadline(20_000)))) throw new Error(`not met in time: ${condition}`)
}

export async function untilGone(pid: number): Promise<void> {
  await until(() => !processRuns(pid))
}

/** The processes that work in a folder, or in a part of it: what a stop must not leave. Linux only. */
export function processesIn(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)
      } catch {
        return false
      }
    })
}

export const isRoot = process.getuid?.() === 0
export const isLinux = process.platform === 'linux'
export const NOBODY: Identity = { uid: 65_534, gid: 65_534 }

/** Whether a command succeeds, here or under another account. */
export function succeeds(file: string, args: readonly string[], identity: Partial<Identity> = {}): boolean {
  return spawnSync(file, args, { ...identity, cwd: '/' }).status === 0
}
