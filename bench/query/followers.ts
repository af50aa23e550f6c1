import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type FollowResult, parseFollowResult } from './follow-result.ts'

const SCRIPT = fileURLToPath(new URL('follow-alerts.ts', import.meta.url))
const READY = 'following\n'

/** Tails in a process of their own. */
export class Followers {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown[]>
  #stdout = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#closed = once(child, 'close')
    child.stdout?.setEncoding('utf8').on('data', text => {
      this.#stdout += String(text)
    })
  }

  static async start(connectionString: string, tails: number): Promise<Followers> {
    const child = spawn(process.execPath, [SCRIPT, String(tails)], {
      env: { ...process.env, TRIPWIRE_DATABASE_URL: connectionString },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const followers = new Followers(child)
    if (child.stdout) await Promise.race([once(child.stdout, 'data'), followers.#closed])
    return followers
  }

  /** Ends them. What was not delivered by then is not counted. */
  async stop(): Promise<FollowResult> {
    this.#child.stdin?.end()
    const [code] = await this.#closed
    if (code !== 0) throw new Error(`the tails ended with ${String(code)}: ${this.#stdout}`)
    return parseFollowResult(this.#stdout.slice(READY.length))
  }
}
