import { setTimeout as sleep } from 'node:timers/promises'
import type { Forwarder } from '../server/forwarder.ts'
import type { Random } from '../support/random.ts'
import type { WriterProcess } from '../writer/writer-process.ts'
import type { Fault } from './fault.ts'

/** @param start begins the next life of a writer. */
export function writerFaults(
  writer: WriterProcess,
  forwarder: Forwarder,
  start: (writer: WriterProcess, random: Random) => void,
): readonly [Fault, ...Fault[]] {
  const restart = async (random: Random) => {
    await sleep(random.int(0, 400))
    start(writer, random)
  }
  return [
    {
      name: `kill -9 of ${writer.name}`,
      strike: async random => {
        await writer.kill()
        await restart(random)
      },
    },
    {
      name: `frozen ${writer.name}`,
      strike: async random => {
        writer.freeze()
        await sleep(random.int(100, 1200))
        writer.thaw()
      },
    },
    {
      name: `close of ${writer.name}`,
      strike: async random => {
        await writer.close()
        await restart(random)
      },
    },
    {
      name: `close of ${writer.name} in a stall`,
      strike: async random => {
        const stall = forwarder.stall(random.int(300, 1500))
        await sleep(random.int(0, 200))
        await Promise.all([stall, writer.close()])
        await restart(random)
      },
    },
  ]
}
