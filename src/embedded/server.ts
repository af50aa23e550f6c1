import type { FolderLock } from '../files/folder-lock.ts'
import type { StartContext } from './cluster.ts'
import { DATABASE, HOST, type ServerAddress, USER } from './connection.ts'
import type { ManagedProcess, ProcessEnd } from './managed-process.ts'
import { requestShutdown } from './process-status.ts'

/** How the server ended. */
export interface EmbeddedPostgresExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether `stop` was called. When it was not, the server died, or somebody else ended it. */
  readonly expected: boolean
}

/** A PostgreSQL server that belongs to this process. It keeps the process alive until it ends. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** `postgres://postgres:<password>@127.0.0.1:<port>/tripwire`. The port is another one after each start. */
  readonly connectionString: string
  readonly dataDir: string
  /** Such as `18.4`. */
  readonly version: string
  /** The process id of the server. */
  readonly pid: number
  /** Settles when the server has ended, for whatever reason. It is never rejected. */
  readonly exited: Promise<EmbeddedPostgresExit>
  /**
   * Ends all connections, shuts the server down and waits until it is gone. A server that takes longer than 30
   * seconds is ended at once; no committed data are lost by that, but the next start takes longer.
   * Calling it again waits for the same end.
   */
  stop(): Promise<void>
}

const FAST_SHUTDOWN_MS = 30_000

/** A server that is ready, and all that belongs to it. */
export class OwnedServer implements EmbeddedPostgres {
  readonly connectionString: string
  readonly dataDir: string
  readonly version: string
  readonly pid: number
  readonly exited: Promise<EmbeddedPostgresExit>
  readonly #process: ManagedProcess
  readonly #pgCtl: string
  #stopping: Promise<void> | undefined

  constructor(
    { binaries, folder }: StartContext,
    { process, pid, address }: { process: ManagedProcess; pid: number; address: ServerAddress },
    lock: FolderLock,
  ) {
    this.connectionString = `postgres://${USER}:${address.password}@${HOST}:${address.port}/${DATABASE}`
    this.dataDir = folder.dataDir
    this.version = binaries.version
    this.pid = pid
    this.#process = process
    this.#pgCtl = binaries.pgCtl
    this.exited = process.ended.then(({ code, signal }: ProcessEnd) => {
      lock.release()
      return { code, signal, expected: this.#stopping !== undefined }
    })
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#shutDown()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #shutDown(): Promise<void> {
    if (this.#process.end === undefined) {
      await requestShutdown(this.pid, 'fast', this.#pgCtl)
      if ((await this.#process.endWithin(FAST_SHUTDOWN_MS)) === undefined) {
        await requestShutdown(this.pid, 'immediate', this.#pgCtl)
      }
    }
    await this.exited
  }
}
