import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { RetiredMonth } from '../../model/partition.ts'
import type { Database, DatabaseOptions } from '../../pg/database.ts'
import { type MonthToRetire, type RetireOptions, retireMonth } from './retire-month.ts'
import { type ThreadError, unpackError } from './thread-error.ts'

/** What the thread is told at its start. */
export interface RetireTask {
  readonly database: DatabaseOptions
  readonly month: MonthToRetire
  readonly options: Omit<RetireOptions, 'signal'>
}

/** What it says, in this order. */
export type RetireMessage = 'started' | { readonly retired: RetiredMonth } | { readonly error: ThreadError }

/** What it may be told later. */
export const ABORT = 'abort'

/** One works, one watches whether the detaching keeps others waiting. */
const CONNECTIONS = 2
/** How long it may take to give up what it does, before it is ended. A server that is frozen does not answer. */
const LONGEST_ABORT_MS = 5000
/** Beside this file, as source and as it is built. */
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './retire-thread.ts' : './retire-thread.js',
  import.meta.url,
)

/**
 * Takes a month out, as `retireMonth` does, on a thread of its own: an archive leaves garbage behind, and its collection would
 * hold up everything else on the thread of the store, its inserts as well. Where no thread can be started, because this package was
 * bundled or the process may not, it goes on without one.
 * @throws what `retireMonth` throws.
 */
export async function retireMonthInThread(
  db: Database,
  month: MonthToRetire,
  options: RetireOptions,
): Promise<RetiredMonth> {
  const { archiveDir, actor, schemaVersion, signal } = options
  const { connectionString, connectTimeoutMs, applicationName } = db.options
  signal.throwIfAborted()
  const worker = await startThread({
    database: { connectionString, connectTimeoutMs, applicationName, maxConnections: CONNECTIONS },
    month: { partition: month.partition, state: month.state, from: month.from, to: month.to },
    options: { archiveDir, actor, schemaVersion },
  })
  if (!worker) return retireMonth(db, month, options)
  try {
    return await resultOf(worker, signal)
  } finally {
    await worker.terminate()
  }
}

/** A thread that has loaded what it needs, and waits for nothing. `undefined` where that is not to be had. */
async function startThread(task: RetireTask): Promise<Worker | undefined> {
  try {
    // Flags of this process, such as those of a debugger, are not meant for it.
    const worker = new Worker(THREAD, { workerData: task, execArgv: [] })
    const [message] = await Promise.race([once(worker, 'message'), once(worker, 'exit')])
    return message === 'started' ? worker : undefined
  } catch {
    return undefined
  }
}

async function resultOf(worker: Worker, signal: AbortSignal): Promise<RetiredMonth> {
  const { promise, resolve, reject } = Promise.withResolvers<RetiredMonth>()
  worker.on('message', (message: RetireMessage) => {
    if (message === 'started') return
    if ('error' in message) reject(unpackError(message.error))
    else resolve(message.retired)
  })
  // Both are defects: the thread says what `retireMonth` throws.
  worker.on('error', reject)
  worker.on('exit', code => reject(new Error(`the thread of a retention ended with ${code}`)))
  let timer: NodeJS.Timeout | undefined
  const abort = () => {
    worker.postMessage(ABORT)
    timer = setTimeout(() => reject(signal.reason), LONGEST_ABORT_MS)
  }
  signal.addEventListener('abort', abort)
  if (signal.aborted) abort()
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    clearTimeout(timer)
  }
}
