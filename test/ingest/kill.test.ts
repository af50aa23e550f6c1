import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { spoolFolder } from '../spool/support.ts'
import { newHost } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { expectStoredOnce, openProxy, openWatched, untilAtRest } from './support.ts'

const database = useTestDatabase()
const FIXTURE = fileURLToPath(new URL('./insert-until-killed.fixture.ts', import.meta.url))
const LIST = 20

/** A process that inserts, and what it says was acknowledged. */
function startInserting(connectionString: string, folder: string, hostId: string) {
  const child = spawn(process.execPath, [FIXTURE, connectionString, folder, hostId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const acknowledged: number[] = []
  const outcomes = new Map<string, number>()
  const lines = createInterface(child.stdout)
  lines.on('line', line => {
    const [first = '', outcome = ''] = line.split(' ')
    acknowledged.push(Number(first))
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  })
  return {
    acknowledged,
    until: (outcome: string, count: number) =>
      expect.poll(() => outcomes.get(outcome) ?? 0, { timeout: 20_000 }).toBeGreaterThanOrEqual(count),
    kill: async () => {
      const ended = once(lines, 'close')
      child.kill('SIGKILL')
      await ended
    },
  }
}

const idOf = (number: number) => ({ alertId: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}` })

it.each([
  ['while the database is away', { accept: false, after: 'spooled' }],
  ['while the spool is drained', { accept: true, after: 'stored' }],
])('F06: a process that is killed %s has lost nothing that it acknowledged', async (_, { accept, after }) => {
  const proxy = await openProxy(database)
  const folder = spoolFolder()
  const registrar = await openWatched(database)
  const hostId = await newHost(registrar.store)
  await database.sql('TRUNCATE alerts')
  const child = startInserting(proxy.connectionString, folder, hostId)
  await child.until('stored', 5)
  proxy.refuse({ cut: true })
  await child.until('spooled', 60)
  if (accept) {
    const drained = proxy.inject({
      when: { from: 'server', message: 'CommandComplete', text: /^COPY/ },
      action: 'cut-after',
    })
    await proxy.accept()
    await drained.fired
  }
  await child.until(after, 5)
  await child.kill()
  await proxy.cutAll()
  const next = await openWatched(database, { spoolDir: folder })
  await untilAtRest(next)
  const expected = child.acknowledged.flatMap(first =>
    Array.from({ length: LIST }, (_, index) => idOf(first + index)),
  )
  expect(expected.length).toBeGreaterThan(1000)
  await expectStoredOnce(database, expected)
  const twice = await database.sql('SELECT alert_id FROM alerts GROUP BY alert_id HAVING count(*) > 1')
  expect(twice).toEqual([])
})
