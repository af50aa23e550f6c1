import { setTimeout as sleep } from 'node:timers/promises'
import { TripwireStorageError } from '../errors.ts'
import type { StartContext } from './cluster.ts'
import { ensureDatabase, HOST, type ServerAddress } from './connection.ts'
import { pollUntil } from './deadline.ts'
import { findFreePort } from './free-port.ts'
import { launch } from './launcher.ts'
import { describeEnd, ManagedProcess, type ProcessEnd } from './managed-process.ts'
import { removeOrphan } from './orphan.ts'
import { readPostmasterFile } from './postmaster-file.ts'

/** A server that takes connections and has the database. */
export interface ReadyServer {
  readonly process: ManagedProcess
  readonly pid: number
  readonly address: ServerAddress
}

const ATTEMPTS = 5
const FIRST_PAUSE_MS = 100
const IMMEDIATE_SHUTDOWN_MS = 10_000

/**
 * Starts postgres and waits until it is ready.
 * A server that ends early is started again a few times: its port may have been taken in between, or the last
 * processes of a server that was killed may still hold the shared memory.
 * @throws TripwireStorageError EMBEDDED_START_FAILED; then no server is left running.
 */
export async function launchServer(context: StartContext, password: string): Promise<ReadyServer> {
  for (let attempt = 1; ; attempt++) {
    await removeOrphan(context, password)
    context.log.mark()
    const outcome = await attemptLaunch(context, { port: await findFreePort(), password })
    if ('address' in outcome) return outcome
    const pause = FIRST_PAUSE_MS * 2 ** (attempt - 1)
    if (attempt === ATTEMPTS || context.deadline.remainingMs < pause) {
      throw startFailed(`postgres ${describeEnd(outcome)}`, context, outcome.error)
    }
    await sleep(pause)
  }
}

async function attemptLaunch(
  context: StartContext,
  address: ServerAddress,
): Promise<ReadyServer | ProcessEnd> {
  const { binaries, folder, launcher, log } = context
  const options = { cwd: folder.dataDir, output: log.descriptor, detached: true }
  const server = new ManagedProcess(
    launch(launcher, binaries.postgres, serverArguments(context, address), options),
  )
  try {
    return await waitUntilReady(server, context, address)
  } catch (error) {
    server.kill('SIGQUIT')
    if ((await server.endWithin(IMMEDIATE_SHUTDOWN_MS)) === undefined) server.kill('SIGKILL')
    await server.ended
    throw error
  }
}

function serverArguments({ folder, settings }: StartContext, { port }: ServerAddress): readonly string[] {
  const own = new Map([
    ['port', String(port)],
    ['listen_addresses', HOST],
    ['unix_socket_directories', ''],
  ])
  return [
    '-D',
    folder.clusterDir,
    ...[...settings, ...own].flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
}

/** Its own file tells when a server is ready, and so does not mistake another server on the port for it. */
async function waitUntilReady(
  server: ManagedProcess,
  context: StartContext,
  address: ServerAddress,
): Promise<ReadyServer | ProcessEnd> {
  const { folder, deadline } = context
  const isReady = () => {
    const file = readPostmasterFile(folder.clusterDir)
    return file?.pid === server.pid && file?.ready === true
  }
  const settled = await pollUntil(() => server.end !== undefined || isReady(), deadline)
  if (!settled) throw startFailed('postgres was not ready in time', context)
  if (server.end !== undefined) return server.end
  if (server.pid === undefined) throw startFailed('postgres has no process id', context)
  try {
    await ensureDatabase(address)
  } catch (cause) {
    // Read again: the server may have ended because of, or during, the connection.
    const end = await server.endWithin(FIRST_PAUSE_MS)
    if (end !== undefined) return end
    throw startFailed('postgres refuses its owner', context, cause)
  }
  return { process: server, pid: server.pid, address }
}

function startFailed(reason: string, { log }: StartContext, cause?: unknown): TripwireStorageError {
  return new TripwireStorageError('EMBEDDED_START_FAILED', `${reason}: ${log.lastLines()}`, {
    cause,
    hint: `the log is ${log.path}`,
  })
}
