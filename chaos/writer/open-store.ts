import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable, Store } from '../../src/index.ts'
import { bounded } from '../support/bounded.ts'
import type { WriterOptions } from './options.ts'

const RETRY_MS = 100
/** Several times all that an opening may wait for. */
const LONGEST_OPENING_MS = 20_000

/**
 * Opens the store, again and again while the database is away.
 * @returns `undefined` when the writer was told to close before it came to that.
 * @throws Violation when one attempt does not end; any error that is not about the database being away.
 */
export async function openStore(
  options: WriterOptions,
  isClosing: () => boolean,
): Promise<Store | undefined> {
  while (!isClosing()) {
    try {
      return await bounded(LONGEST_OPENING_MS, 'Store.open', Store.open(storeOptions(options)))
    } catch (error) {
      if (!isRetryable(error)) throw error
      await sleep(RETRY_MS)
    }
  }
  return undefined
}

/** Short times, so that every one of them passes in a round. */
function storeOptions({ connectionString, spoolDir, isSmall, closeTimeoutMs, writer }: WriterOptions) {
  return {
    connectionString,
    spoolDir,
    closeTimeoutMs,
    batchSize: 50,
    flushIntervalMs: 40,
    writeTimeoutMs: 700,
    connectTimeoutMs: 700,
    retryForMs: 600,
    overloadWaitMs: 200,
    maxBufferedAlerts: isSmall ? 1000 : 5000,
    ...(isSmall ? { spoolMaxBytes: 1_048_576 } : {}),
    applicationName: `chaos writer ${writer}`,
  }
}
