import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AlertCounts } from '../../src/index.ts'
import { bounded } from '../support/bounded.ts'
import { Violation } from '../support/violation.ts'
import { isWriterMessage, type WriterMessage } from './messages.ts'
import { type WriterOptions, writerArguments } from './options.ts'

const PROGRAM = fileURLToPath(new URL('../writer.ts', import.meta.url))
const LAST_OUTPUT = 4000
const SETTLE_MS = 40_000
/** An opening that is under way when the close comes has to end first. */
const CLOSED_MS = 30_000
const ENDED_MS = 5000
const KILLED_MS = 10_000

/** What stays of a writer over its restarts. */
export interface WriterProfile {
  readonly writer: number
  readonly hasSpool: boolean
  readonly isSmall: boolean
  readonly folder: string
}

export interface StartOptions
  extends Pick<WriterOptions, 'closeTimeoutMs' | 'origin' | 'firstNumber' | 'seed'> {
  readonly connectionString: string
}

type Closed = Extract<WriterMessage, { kind: 'closed' }>

/** A writer, killed and started again any number of times. */
export class WriterProcess {
  readonly profile: WriterProfile
  readonly #onViolation: (text: string) => void
  readonly #outputPath: string
  #child: ChildProcess | undefined
  #isEndExpected = false

  constructor(profile: WriterProfile, onViolation: (text: string) => void) {
    this.profile = profile
    this.#onViolation = onViolation
    this.#outputPath = join(profile.folder, `writer-${profile.writer}.log`)
  }

  get ledgerPath(): string {
    return join(this.profile.folder, `writer-${this.profile.writer}.ledger`)
  }

  get spoolDir(): string | undefined {
    return this.profile.hasSpool ? join(this.profile.folder, `spool-${this.profile.writer}`) : undefined
  }

  get name(): string {
    return `writer ${this.profile.writer}`
  }

  start(options: StartOptions): void {
    const { writer, isSmall } = this.profile
    const { ledgerPath, spoolDir } = this
    const args = writerArguments({ ...options, writer, isSmall, ledgerPath, spoolDir })
    const output = openSync(this.#outputPath, 'a')
    try {
      this.#child = fork(PROGRAM, args, { stdio: ['ignore', output, output, 'ipc'] })
    } finally {
      closeSync(output)
    }
    this.#isEndExpected = false
    const child = this.#child
    child.on('message', message => {
      if (isWriterMessage(message) && message.kind === 'violation') this.#report(message.text)
    })
    child.on('error', error => this.#report(`the process failed: ${error.message}`))
    child.on('exit', (code, signal) => {
      if (!this.#isEndExpected) this.#report(`ended with ${signal ?? code}: ${this.#lastOutput()}`)
    })
  }

  async kill(): Promise<void> {
    this.killNow()
    if (this.#child) await bounded(KILLED_MS, `the end of the killed ${this.name}`, ended(this.#child))
  }

  /** For the end of the program as well. Works on a frozen process, too. */
  killNow(): void {
    this.#isEndExpected = true
    this.#child?.kill('SIGKILL')
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  produce(): void {
    this.#child?.send('produce')
  }

  /** Nothing new is sent; resolves when all is acknowledged, and the memory and the spool are empty. */
  async settle(): Promise<AlertCounts> {
    const settled = this.#message('settled')
    this.#child?.send('settle')
    return (await bounded(SETTLE_MS, `${this.name}: having everything stored`, settled)).counts
  }

  /** Closes the store; the process must end by itself then. */
  async close(): Promise<Closed> {
    const child = this.#child
    if (!child) throw new Violation(`${this.name} was not started`)
    this.#isEndExpected = true
    const closed = this.#message('closed')
    child.send('close')
    const message = await bounded(CLOSED_MS, `${this.name}: the close`, closed)
    await bounded(ENDED_MS, `${this.name}: the end of the process after the close`, ended(child))
    if (child.exitCode !== 0) this.#report(`ended after the close with ${child.signalCode ?? child.exitCode}`)
    return message
  }

  /** Rejects when the process ends before it says so. */
  #message<K extends WriterMessage['kind']>(kind: K): Promise<Extract<WriterMessage, { kind: K }>> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const onMessage = (message: unknown) => {
        if (!isWriterMessage(message) || !isOfKind(message, kind)) return
        child?.off('message', onMessage)
        resolve(message)
      }
      child?.on('message', onMessage)
      child?.once('exit', (code, signal) => {
        reject(
          new Violation(`${this.name} ended with ${signal ?? code} before ${kind}: ${this.#lastOutput()}`),
        )
      })
    })
  }

  #report(text: string): void {
    this.#onViolation(`${this.name}: ${text}`)
  }

  #lastOutput(): string {
    return readFileSync(this.#outputPath, 'utf8').slice(-LAST_OUTPUT)
  }
}

function isOfKind<K extends WriterMessage['kind']>(
  message: WriterMessage,
  kind: K,
): message is Extract<WriterMessage, { kind: K }> {
  return message.kind === kind
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
