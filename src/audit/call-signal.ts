/** What a store tells a call of its own. */
export interface CallContext {
  /** Ends the call beside the signal of its caller: the store is closing. */
  readonly signal?: AbortSignal
}

/** Aborted when the caller gives up, or the store closes. */
export function callSignal(ofCaller: AbortSignal | undefined, { signal }: CallContext): AbortSignal {
  return AbortSignal.any([ofCaller, signal].flatMap(each => each ?? []))
}
