/** A process that writes alerts through a store, started, frozen and killed by `main.ts`. */
import { isCommand, type WriterMessage } from './writer/messages.ts'
import { readWriterArguments } from './writer/options.ts'
import { WriterSession } from './writer/session.ts'

const send = (message: WriterMessage) => {
  if (process.connected) process.send?.(message)
}
const session = new WriterSession(readWriterArguments(process.argv.slice(2)), send)

/** The run is gone. */
const endAlone = () => process.exit(1)
process.on('disconnect', endAlone)
process.on('message', message => {
  if (isCommand(message)) session.obey(message)
})

await session.run()
// From here on nothing may keep the process alive: a store that is closed leaves nothing behind.
process.off('disconnect', endAlone)
process.disconnect()
