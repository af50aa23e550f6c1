import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { RetiredMonth } from '../../model/partition.ts'
import type { Database, DatabaseOptions } from '../../pg/database.ts'
import type { MonthToRetire, RetireOptions } from './retire-month.ts'
import { type ThreadError, unpackError } from './thread-error.ts'

/** What the thread is told at its start. */
export interface RetireTask {
  readonly database: DatabaseOptions
  readonly month: MonthToRetire
  readonly options: Omit<RetireOptions, 'signal'>
}

/** What it answers, once. */
export type RetireAnswer = { readonly retired: RetiredMonth } | { readonly error: ThreadError }

/** What it may be told later. */
export const ABORT = 'abort'

/** One works, one watches whether the detaching keeps others waiting. */
const CONNECTIONS = 2
/** Beside this file, as source and as it is built. */
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './retire-thread.ts' : './retire-thread.js',
  import.meta.url,
)

/**
 * Takes a month out, as `retireMonth` does, on a thread of its own: an archive leaves garbage behind, and its collection would
 * hold up everything else on the thread of the store, its inserts as well.
 * @throws what `retireMonth` throws.
 */
export async function retireMonthInThread(
  db: Database,
  month: MonthToRetire,
  { archiveDir, actor, schemaVersion, signal }: RetireOptions,
): Promise<RetiredMonth> {
  const { connectionString, connectTimeoutMs, applicationName } = db.options
  const task: RetireTask = {
    database: { connectionString, connectTimeoutMs, applicationName, maxConnections: CONNECTIONS },
    month: { partition: month.partition, state: month.state, from: month.from, to: month.to },
    options: { archiveDir, actor, schemaVersion },
  }
  signal.throwIfAborted()
  // Flags of this process, such as those of a debugger, are not meant for it.
  const worker = new Worker(THREAD, { workerData: task, execArgv: [] })
  const abort = () => worker.postMessage(ABORT)
  signal.addEventListener('abort', abort)
  try {
    const answer = await answerOf(worker)
    if ('error' in answer) throw unpackError(answer.error)
    return answer.retired
  } finally {
    signal.removeEventListener('abort', abort)
    await worker.terminate()
  }
}

async function answerOf(worker: Worker): Promise<RetireAnswer> {
  const exited = once(worker, 'exit').then(([code]): never => {
    throw new Error(`the thread of a retention ended with ${String(code)}`)
  })
  const message = new Promise<RetireAnswer>((resolve, reject) => {
    worker.once('message', resolve)
    // A defect, which the thread did not catch.
    worker.once('error', reject)
  })
  exited.catch(() => undefined)
  return Promise.race([message, exited])
}
