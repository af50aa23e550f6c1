import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrateUp } from '../src/index.ts'
import { HOST_IDS } from './alerts/plan.ts'
import { runSql } from './check/stored-content.ts'
import { ChaosServer } from './server/chaos-server.ts'
import { Forwarder } from './server/forwarder.ts'
import type { Random } from './support/random.ts'
import { WriterProcess } from './writer/writer-process.ts'

const PROFILES = [
  { writer: 1, hasSpool: true, isSmall: false },
  { writer: 2, hasSpool: true, isSmall: true },
  { writer: 3, hasSpool: false, isSmall: false },
] as const
/** The first is shorter than an outage, the last one longer. */
const CLOSE_TIMEOUTS_MS = [250, 800, 3000] as const
/** Numbers of alerts begin anew, further up, after the tables were emptied. */
const NUMBERS_A_GENERATION = 10_000_000
const LARGEST_SEED = 2 ** 31 - 1

/** The server, what stands before it, and the writers. Goes on from round to round. */
export class World {
  readonly folder: string
  readonly origin = Date.now()
  readonly forwarder = new Forwarder()
  readonly server: ChaosServer
  readonly writers: readonly WriterProcess[]
  /** What the writers have told so far. */
  readonly violations: string[] = []
  #generation = 0
  #isOver = false

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'tripwire-chaos-'))
    // The server may have to run under another account.
    const dataDir = join(this.folder, 'server')
    mkdirSync(dataDir)
    const writerFolder = join(this.folder, 'writers')
    mkdirSync(writerFolder)
    this.server = new ChaosServer(dataDir, this.forwarder)
    this.writers = PROFILES.map(
      profile =>
        new WriterProcess({ ...profile, folder: writerFolder }, text => {
          this.violations.push(text)
          process.stdout.write(`VIOLATION ${text}\n`)
        }),
    )
  }

  async start(random: Random): Promise<void> {
    await this.forwarder.listen()
    await this.server.start()
    await migrateUp({ connectionString: this.server.url })
    const hosts = HOST_IDS.map((id, index) => `('${id}', 'host-${index + 1}')`)
    await runSql(this.server.url, `INSERT INTO hosts (host_id, hostname) VALUES ${hosts.join(', ')}`)
    for (const writer of this.writers) this.startWriter(writer, random)
  }

  startWriter(writer: WriterProcess, random: Random): void {
    if (this.#isOver) throw new Error('the run is over')
    writer.start({
      connectionString: this.server.forwardedUrl,
      closeTimeoutMs: random.pick(CLOSE_TIMEOUTS_MS),
      origin: this.origin,
      firstNumber: this.#generation * NUMBERS_A_GENERATION,
      seed: random.int(0, LARGEST_SEED),
    })
  }

  /** Empties the tables, which would otherwise slow the checks down. Closes every writer on the way. */
  async startAnew(random: Random): Promise<void> {
    await Promise.all(this.writers.map(writer => writer.close()))
    await runSql(this.server.url, 'TRUNCATE alerts, alert_dead_letters')
    this.#generation++
    for (const writer of this.writers) {
      rmSync(writer.ledgerPath)
      this.startWriter(writer, random)
    }
  }

  /** The orderly end, which is checked like everything else. */
  async end(): Promise<void> {
    await Promise.all(this.writers.map(writer => writer.close()))
    await this.server.stop()
    this.forwarder.close()
  }

  /** Whatever state this is in: leaves no process behind. The files stay. */
  async abort(): Promise<void> {
    this.#isOver = true
    for (const writer of this.writers) writer.killNow()
    this.forwarder.close()
    await this.server.end()
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
