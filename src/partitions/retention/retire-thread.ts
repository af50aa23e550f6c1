/** The thread that `retireMonthInThread` starts. */
import { parentPort, workerData } from 'node:worker_threads'
import { Database } from '../../pg/database.ts'
import { ABORT, type RetireMessage, type RetireTask } from './retire-in-thread.ts'
import { retireMonth } from './retire-month.ts'
import { packError } from './thread-error.ts'

const { database, month, options }: RetireTask = workerData
const stop = new AbortController()
parentPort?.on('message', message => {
  if (message === ABORT) stop.abort()
})
const say = (message: RetireMessage) => parentPort?.postMessage(message)
say('started')
const db = new Database(database)
const answer = await retireMonth(db, month, { ...options, signal: stop.signal }).then(
  (retired): RetireMessage => ({ retired }),
  (error: unknown): RetireMessage => ({ error: packError(error) }),
)
await db.close()
say(answer)
parentPort?.close()
