import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { type ConnectionOptions, parse } from 'pg-connection-string'
import { type Account, chooseAccount } from '../../src/embedded/account.ts'
import { Deadline, pollUntil } from '../../src/embedded/deadline.ts'
import { findFreePort } from '../../src/embedded/free-port.ts'
import { ManagedProcess } from '../../src/embedded/managed-process.ts'

const HOST = '127.0.0.1'
const START_ATTEMPTS = 5
const READY_WITHIN_MS = 20_000
const STOP_WITHIN_MS = 10_000

export interface PgBouncerOptions {
  /**
   * A URL of the server behind it, as a superuser, who may also use the admin console. Every role with a password may log in, into
   * any database, also one that is made later.
   */
  readonly serverUrl: string
  /** How many connections to the server there are for each database and role. */
  readonly poolSize: number
}

export interface PgBouncer extends AsyncDisposable {
  /** The URL of a database of the server, through the pooler. */
  urlOf(database: string): string
  /** Ends all connections, and is done when the process is gone. */
  stop(): Promise<void>
}

/** Debian has it outside the PATH of an ordinary user. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

function findProgram(): string | undefined {
  return FOLDERS.map(folder => join(folder, 'pgbouncer')).find(path => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Why there can be no PgBouncer here, for the tests that are skipped then; `undefined` when there can. */
export function pgbouncerMissing(): string | undefined {
  if (process.platform === 'win32') return 'the tests start PgBouncer on Linux and macOS only'
  if (findProgram() === undefined) {
    return 'PgBouncer is not installed; on Debian: apt-get install pgbouncer'
  }
  return undefined
}

/** Starts a PgBouncer in transaction mode. Its configuration goes away with it. */
export async function startPgBouncer({ serverUrl, poolSize }: PgBouncerOptions): Promise<PgBouncer> {
  const server = parse(serverUrl)
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-pgbouncer-'))
  try {
    // It refuses to run as root.
    const account = chooseAccount(folder, folder)
    for (let attempt = 1; ; attempt++) {
      // A port that was free may be taken a moment later.
      const port = await findFreePort()
      const configuration = await writeConfiguration(folder, server, port, poolSize)
      await giveTo(account, [folder, configuration.file, configuration.usersFile])
      const pooler = new RunningPgBouncer(launch(configuration.file, folder, account), server, port, folder)
      if (await pooler.isReady()) return pooler
      if (attempt === START_ATTEMPTS) throw new Error(`PgBouncer did not start: ${pooler.log}`)
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function launch(configuration: string, folder: string, account: Account | undefined): ChildProcess {
  const file = findProgram()
  if (file === undefined) throw new Error('PgBouncer is not installed')
  const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid }
  return spawn(file, [configuration], { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
}

async function writeConfiguration(folder: string, server: ConnectionOptions, port: number, poolSize: number) {
  const file = join(folder, 'pgbouncer.ini')
  const usersFile = join(folder, 'users.txt')
  const { user = 'postgres', password = '' } = server
  await writeFile(usersFile, `${quoted(user)} ${quoted(password)}\n`, { mode: 0o600 })
  const lines = [
    '[databases]',
    `* = host=${server.host || 'localhost'} port=${server.port || 5432}`,
    '[pgbouncer]',
    `listen_addr = ${HOST}`,
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'pool_mode = transaction',
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 500',
    `auth_type = ${password === '' ? 'trust' : 'scram-sha-256'}`,
    `auth_file = ${usersFile}`,
    // The passwords of other roles it reads from the server (its default auth_query).
    `auth_user = ${user}`,
    `admin_users = ${user}`,
    // After a login that the server refused, the next one need not wait for 15 seconds.
    'server_login_retry = 0.1',
  ]
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  return { file, usersFile }
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}

async function giveTo(account: Account | undefined, paths: readonly string[]): Promise<void> {
  if (account === undefined) return
  for (const path of paths) await chown(path, account.uid, account.gid)
}

class RunningPgBouncer implements PgBouncer {
  readonly #process: ManagedProcess
  readonly #server: ConnectionOptions
  readonly #port: number
  readonly #folder: string
  #log = ''

  constructor(child: ChildProcess, server: ConnectionOptions, port: number, folder: string) {
    this.#process = new ManagedProcess(child)
    this.#server = server
    this.#port = port
    this.#folder = folder
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text
    })
  }

  /** What it has said so far. */
  get log(): string {
    return this.#log
  }

  urlOf(database: string): string {
    const { user = 'postgres', password = '' } = this.#server
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
    return `postgres://${login}@${HOST}:${this.#port}/${encodeURIComponent(database)}`
  }

  /** Waits until the server answers through it. Returns `false` when it ended instead. */
  async isReady(): Promise<boolean> {
    let failure: unknown
    const answers = async () => {
      try {
        await connectOnce(this.urlOf(this.#server.database ?? 'postgres'))
        return true
      } catch (error) {
        failure = error
        return false
      }
    }
    const hasEnded = () => this.#process.end !== undefined
    const settled = await pollUntil(
      async () => hasEnded() || (await answers()),
      new Deadline(READY_WITHIN_MS),
    )
    if (settled) return !hasEnded()
    await this.stop()
    throw new Error(`PgBouncer gave no connection to the server: ${this.#log}`, { cause: failure })
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    if ((await this.#process.endWithin(STOP_WITHIN_MS)) === undefined) this.#process.kill('SIGKILL')
    await this.#process.ended
    await rm(this.#folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

async function connectOnce(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT 1')
  } finally {
    await client.end().catch(() => undefined)
  }
}
