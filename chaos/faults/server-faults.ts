import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosServer } from '../server/chaos-server.ts'
import type { Random } from '../support/random.ts'
import type { Fault } from './fault.ts'

/** Each ends with a server that runs. Lengths reach from below to above the `writeTimeoutMs` of the writers, 700 ms. */
export function serverFaults(server: ChaosServer): readonly [Fault, ...Fault[]] {
  return [
    {
      name: 'kill -9 of all of PostgreSQL',
      strike: random => restartAfter(server, random, () => server.killAll()),
    },
    {
      name: 'kill -9 of the postmaster',
      strike: random => restartAfter(server, random, () => server.killPostmaster()),
    },
    {
      name: 'kill -9 of a frozen PostgreSQL',
      strike: random =>
        restartAfter(server, random, async () => {
          await server.freeze()
          await sleep(random.int(50, 900))
          await server.killAll()
        }),
    },
    {
      name: 'kill -9 of one backend',
      strike: random => server.signalOneChild(random, 'SIGKILL'),
    },
    {
      name: 'termination of one backend',
      strike: random => server.signalOneChild(random, 'SIGTERM'),
    },
    {
      name: 'frozen PostgreSQL',
      strike: random => frozen(server, random, () => server.freeze()),
    },
    {
      name: 'one frozen backend',
      strike: random => frozen(server, random, () => server.freezeOneChild(random)),
    },
    {
      name: 'restart of PostgreSQL',
      strike: random => restartAfter(server, random, () => server.stop()),
    },
  ]
}

async function restartAfter(server: ChaosServer, random: Random, end: () => Promise<void>): Promise<void> {
  await end()
  await sleep(random.int(0, 600))
  await server.start()
}

async function frozen(server: ChaosServer, random: Random, freeze: () => Promise<void>): Promise<void> {
  const ms = random.int(100, 1400)
  try {
    await freeze()
    await sleep(ms)
  } finally {
    server.thaw()
  }
}
