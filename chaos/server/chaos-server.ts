import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { bounded } from '../support/bounded.ts'
import type { Random } from '../support/random.ts'
import { Violation } from '../support/violation.ts'
import type { Forwarder } from './forwarder.ts'
import { childrenOf, signal } from './process-tree.ts'

/** Everything about durability is left at its default. */
const SETTINGS = { max_connections: '60' }
/** Longer than the start itself waits. */
const START_MS = 70_000
const END_MS = 40_000

/** A PostgreSQL that is killed, frozen and started again in one folder, behind an address that stays. */
export class ChaosServer {
  readonly #dataDir: string
  readonly #forwarder: Forwarder
  readonly #frozen = new Set<number>()
  #server: EmbeddedPostgres | undefined
  #starting: Promise<unknown> = Promise.resolve()
  #isOver = false

  constructor(dataDir: string, forwarder: Forwarder) {
    this.#dataDir = dataDir
    this.#forwarder = forwarder
  }

  /** Straight to the server, past the forwarder. */
  get url(): string {
    return this.#running().connectionString
  }

  /** By way of the forwarder. */
  get forwardedUrl(): string {
    const url = new URL(this.url)
    url.port = String(this.#forwarder.port)
    return url.toString()
  }

  async start(): Promise<void> {
    if (this.#isOver) throw new Error('the run is over')
    const starting = startEmbeddedPostgres({ dataDir: this.#dataDir, settings: SETTINGS }).then(server => {
      this.#server = server
    })
    this.#starting = starting
    await bounded(START_MS, 'the start of PostgreSQL', starting)
    this.#forwarder.target = Number(new URL(this.url).port)
  }

  /** kill -9 of the first process; its backends notice it and end, each at its next opportunity. */
  async killPostmaster(): Promise<void> {
    const server = this.#running()
    signal(server.pid, 'SIGKILL')
    await this.#waitForEnd(server)
  }

  /** kill -9 of all processes at once. What they had written stays with the system, so this is no loss of power. */
  async killAll(): Promise<void> {
    const server = this.#running()
    const children = await childrenOf(server.pid)
    for (const pid of [server.pid, ...children]) signal(pid, 'SIGKILL')
    await this.#waitForEnd(server)
  }

  /** kill -9, or another signal, to one backend or auxiliary process. After a kill -9 the postmaster starts all of them again. */
  async signalOneChild(random: Random, name: NodeJS.Signals): Promise<void> {
    const [first, ...others] = await childrenOf(this.#running().pid)
    if (first !== undefined) signal(random.pick([first, ...others]), name)
  }

  async freeze(): Promise<void> {
    const { pid } = this.#running()
    this.#freeze(pid)
    // The first process is stopped already, so there come no more.
    for (const child of await childrenOf(pid)) this.#freeze(child)
  }

  async freezeOneChild(random: Random): Promise<void> {
    const [first, ...others] = await childrenOf(this.#running().pid)
    if (first !== undefined) this.#freeze(random.pick([first, ...others]))
  }

  thaw(): void {
    for (const pid of this.#frozen) signal(pid, 'SIGCONT')
    this.#frozen.clear()
  }

  /** A fast shutdown: every session is ended with an error, and a checkpoint is written. */
  async stop(): Promise<void> {
    this.thaw()
    if (this.#server) await bounded(END_MS, 'the shutdown of PostgreSQL', this.#server.stop())
  }

  /** Stops the server, whatever is happening to it right now, and lets nothing start it again. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#starting.catch(() => undefined)
    await this.stop().catch(() => this.killAll())
  }

  #freeze(pid: number): void {
    this.#frozen.add(pid)
    signal(pid, 'SIGSTOP')
  }

  #running(): EmbeddedPostgres {
    if (!this.#server) throw new Violation('PostgreSQL was not started')
    return this.#server
  }

  async #waitForEnd(server: EmbeddedPostgres): Promise<void> {
    // Frozen backends of a dead server would keep its shared memory for ever.
    this.thaw()
    await bounded(END_MS, 'the end of the killed PostgreSQL', server.exited)
  }
}
