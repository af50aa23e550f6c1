interface SharedRead<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  users: number
}

/** Lets those who ask for the same at the same moment share one read. It is cancelled when none of them waits for it any more. */
export class SharedReads<T> {
  readonly #running = new Map<string, SharedRead<T>>()

  /**
   * @param key the same for the same result.
   * @throws what `read` throws, and the reason of the signal.
   */
  async run(key: string, signal: AbortSignal, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const shared = this.#running.get(key) ?? this.#begin(key, read)
    shared.users++
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    try {
      return await Promise.race([shared.result, aborted])
    } finally {
      signal.removeEventListener('abort', onAbort)
      shared.users--
      if (shared.users === 0) this.#end(key, shared)
    }
  }

  #begin(key: string, read: (signal: AbortSignal) => Promise<T>): SharedRead<T> {
    const stop = new AbortController()
    const shared = { result: read(stop.signal), stop, users: 0 }
    this.#running.set(key, shared)
    const done = () => {
      // Whoever comes from now on has to look anew.
      if (this.#running.get(key) === shared) this.#running.delete(key)
    }
    shared.result.then(done, done)
    return shared
  }

  #end(key: string, shared: SharedRead<T>): void {
    if (this.#running.get(key) === shared) this.#running.delete(key)
    shared.stop.abort()
  }
}
