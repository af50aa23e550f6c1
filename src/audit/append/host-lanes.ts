import { isLockTimeout } from './audit-transaction.ts'
import { countThatFit, type WaitingAppend, type WriteAppends } from './waiting-append.ts'

/** Of one try; between two, other hosts have their turn. */
const LOCK_TIMEOUT_MS = 500
/** How long an append waits for the lock of its chain in all. */
const LOCK_PATIENCE_MS = 7500
/** How many hosts are appended to at once, each on a connection of its own. */
export const MOST_LANES_AT_ONCE = 3

interface Lane {
  readonly hostId: string
  readonly appends: WaitingAppend[]
  /** One by one, because one of several is bad. */
  oneByOne: boolean
}

export interface HostLanesOptions {
  readonly write: WriteAppends
  readonly fail: (waiting: WaitingAppend, error: unknown) => void
  /** The appends of some host need no lane any more. */
  readonly onLaneEnded: () => void
}

/**
 * Appends apart from the shared transaction, host by host: where an append of several is bad, or somebody keeps the chain locked. A
 * host whose lock was not to be had keeps a lane for what comes next, until an append gets through.
 */
export class HostLanes {
  readonly #options: HostLanesOptions
  readonly #lanes = new Map<string, Lane>()
  readonly #locked = new Set<string>()
  readonly #turns: Lane[] = []
  #running = 0

  constructor(options: HostLanesOptions) {
    this.#options = options
  }

  /** Whether what comes for this host has to go here. */
  concern(hostId: string): boolean {
    return this.#lanes.has(hostId) || this.#locked.has(hostId)
  }

  add(waiting: WaitingAppend, oneByOne = false): void {
    const { hostId } = waiting.append
    const lane = this.#lanes.get(hostId)
    if (lane) {
      lane.appends.push(waiting)
      return
    }
    const opened = { hostId, appends: [waiting], oneByOne }
    this.#lanes.set(hostId, opened)
    this.#turns.push(opened)
    this.#start()
  }

  #start(): void {
    while (this.#running < MOST_LANES_AT_ONCE) {
      const lane = this.#turns.shift()
      if (!lane) return
      this.#running++
      void this.#takeTurn(lane).finally(() => {
        this.#running--
        if (lane.appends.length > 0) this.#turns.push(lane)
        else {
          this.#lanes.delete(lane.hostId)
          this.#options.onLaneEnded()
        }
        this.#start()
      })
    }
  }

  async #takeTurn(lane: Lane): Promise<void> {
    const batch = lane.appends.slice(0, lane.oneByOne ? 1 : countThatFit(lane.appends))
    try {
      await this.#options.write(batch, LOCK_TIMEOUT_MS)
      lane.appends.splice(0, batch.length)
      this.#locked.delete(lane.hostId)
    } catch (error) {
      if (isLockTimeout(error)) this.#giveUpOld(lane, error)
      else if (batch.length > 1) lane.oneByOne = true
      else for (const waiting of lane.appends.splice(0, 1)) this.#options.fail(waiting, error)
    }
  }

  #giveUpOld(lane: Lane, error: unknown): void {
    this.#locked.add(lane.hostId)
    const now = performance.now()
    // They came in this order.
    while (lane.appends[0] && now - lane.appends[0].askedAt > LOCK_PATIENCE_MS) {
      for (const waiting of lane.appends.splice(0, 1)) this.#options.fail(waiting, error)
    }
  }
}
