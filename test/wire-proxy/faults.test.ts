import type pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { type FaultSpec, type MessageMatch, startWireProxy } from '../support/wire-proxy.ts'
import { CopyIn, connect, withWire } from './wire-client.ts'

const database = useTestDatabase('empty')

beforeAll(async () => {
  await database.sql('CREATE TABLE t (id int)')
})
beforeEach(async () => {
  await database.sql('TRUNCATE t')
})

const stored = async () => (await database.sql('SELECT id FROM t ORDER BY id')).map(row => row['id'])

type Work = (client: pg.Client) => Promise<unknown>
const rows = [Buffer.from('1\n'), Buffer.from('2\n')]
const simple: Work = client => client.query('INSERT INTO t VALUES (1)')
const extended: Work = client => client.query('INSERT INTO t VALUES ($1)', [1])
const copyAhead: Work = client => client.query(new CopyIn('COPY t FROM STDIN', rows, true)).done
const copyWaiting: Work = client => client.query(new CopyIn('COPY t FROM STDIN', rows, false)).done
const transaction: Work = async client => {
  await client.query('BEGIN')
  await client.query('INSERT INTO t VALUES ($1)', [1])
  await client.query('COMMIT')
}
const several: Work = client => client.query('INSERT INTO t VALUES (1); UPDATE t SET id = 2')

const client = (
  message: Extract<MessageMatch, { from: 'client' }>['message'],
  text?: RegExp,
): MessageMatch => ({
  from: 'client',
  message,
  ...(text === undefined ? {} : { text }),
})
const server = (
  message: Extract<MessageMatch, { from: 'server' }>['message'],
  text?: RegExp,
): MessageMatch => ({
  from: 'server',
  message,
  ...(text === undefined ? {} : { text }),
})

type Row = readonly [string, Work, MessageMatch, FaultSpec['action'], readonly number[]]
const matrix: readonly Row[] = [
  ['simple', simple, client('Query', /INSERT/), 'cut-before', []],
  ['simple', simple, client('Query', /INSERT/), 'cut-after', [1]],
  ['simple', simple, client('Query', /INSERT/), 'cut-now', [1]],
  ['simple', simple, server('CommandComplete', /^INSERT/), 'cut-before', [1]],
  ['simple', simple, server('CommandComplete', /^INSERT/), 'cut-now', [1]],
  ['several', several, server('CommandComplete', /^UPDATE/), 'cut-before', [2]],
  ['extended', extended, client('Parse', /INSERT/), 'cut-before', []],
  ['extended', extended, client('Bind'), 'cut-before', []],
  ['extended', extended, client('Execute'), 'cut-before', []],
  ['extended', extended, client('Execute'), 'cut-now', []],
  ['extended', extended, client('Sync'), 'cut-before', []],
  ['extended', extended, client('Sync'), 'cut-now', [1]],
  ['extended', extended, client('Parse', /INSERT/), 'cut-after', [1]],
  ['extended', extended, client('Execute'), 'cut-after', [1]],
  ['extended', extended, client('Sync'), 'cut-after', [1]],
  ['extended', extended, server('ReadyForQuery'), 'cut-before', [1]],
  ['COPY ahead', copyAhead, client('Query', /^COPY/), 'cut-before', []],
  ['COPY ahead', copyAhead, client('CopyData', /2/), 'cut-before', []],
  ['COPY ahead', copyAhead, client('CopyDone'), 'cut-before', []],
  ['COPY ahead', copyAhead, client('CopyDone'), 'cut-now', [1, 2]],
  ['COPY ahead', copyAhead, client('CopyDone'), 'cut-after', [1, 2]],
  ['COPY ahead', copyAhead, client('Query', /^COPY/), 'cut-after', [1, 2]],
  ['COPY ahead', copyAhead, server('CopyInResponse'), 'cut-before', [1, 2]],
  ['COPY ahead', copyAhead, server('CommandComplete', /^COPY/), 'cut-before', [1, 2]],
  ['COPY waiting', copyWaiting, server('CopyInResponse'), 'cut-before', []],
  ['COPY waiting', copyWaiting, server('CopyInResponse'), 'cut-after', []],
  ['COPY waiting', copyWaiting, client('CopyDone'), 'cut-before', []],
  ['COPY waiting', copyWaiting, client('Query', /^COPY/), 'cut-after', [1, 2]],
  ['COPY waiting', copyWaiting, client('CopyDone'), 'cut-after', [1, 2]],
  ['COPY waiting', copyWaiting, server('CommandComplete', /^COPY/), 'cut-before', [1, 2]],
  ['transaction', transaction, client('Query', /^BEGIN/), 'cut-after', []],
  ['transaction', transaction, client('Parse', /INSERT/), 'cut-after', []],
  ['transaction', transaction, server('CommandComplete', /^INSERT/), 'cut-before', []],
  ['transaction', transaction, client('Query', /^COMMIT/), 'cut-before', []],
  ['transaction', transaction, client('Query', /^COMMIT/), 'cut-now', [1]],
  ['transaction', transaction, client('Query', /^COMMIT/), 'cut-after', [1]],
  ['transaction', transaction, server('CommandComplete', /^COMMIT/), 'cut-before', [1]],
]

const titled = matrix.map((row): readonly [string, Row] => {
  const [name, , { from, message, text }, action, ids] = row
  return [`${name}: ${action} at ${message} ${text ?? ''} of the ${from} stores [${ids}]`, row]
})

describe('a fault in a statement, and what is stored afterwards', () => {
  for (const clientSees of ['end', 'reset'] as const) {
    it.each(titled)(`%s; client sees ${clientSees}`, async (_, [, work, when, action, ids]) => {
      await withWire(database.directConnectionString, async (pgClient, proxy) => {
        const fault = proxy.inject({ when, action, clientSees })
        await expect(work(pgClient)).rejects.toThrow(/terminated|ECONNRESET|EPIPE/)
        await fault.settled
        expect(await stored(), proxy.log.join('\n')).toEqual(ids)
        expect(fault.count).toBe(1)
        expect(proxy.connections).toBe(0)
      })
    })
  }

  it('a result that was passed on before the cut arrives', async () => {
    await withWire(database.directConnectionString, async (pgClient, proxy) => {
      const fault = proxy.inject({ when: { ...server('ReadyForQuery'), nth: 1 }, action: 'cut-after' })
      expect(await pgClient.query('SELECT 1 AS one')).toMatchObject({ rows: [{ one: 1 }] })
      await fault.settled
      await expect(pgClient.query('SELECT 1')).rejects.toThrow()
    })
  })

  it('cut-after leaves the answers to what was sent before', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const pgClient = await connect(proxy.connectionString)
    const fault = proxy.inject({ when: client('Query', /VALUES \(2\)/), action: 'cut-after' })
    const statement = (id: number) => {
      const sql = Buffer.from(`INSERT INTO t VALUES (${id})\0`)
      const head = Buffer.from([0x51, 0, 0, 0, sql.length + 4])
      return Buffer.concat([head, sql])
    }
    const seen: string[] = []
    const connection = pgClient.connection
    connection.on('commandComplete', () => seen.push('commandComplete'))
    connection.on('readyForQuery', () => seen.push('readyForQuery'))
    const ended = new Promise(resolve => pgClient.once('end', resolve))
    connection.stream.write(Buffer.concat([1, 2, 3].map(statement)))
    await fault.settled
    await ended
    expect(seen).toEqual(['commandComplete', 'readyForQuery'])
    // The third was sent as well, and the server ran all that it got.
    expect(await stored()).toEqual([1, 2, 3])
  })
})

describe('when PostgreSQL commits', () => {
  it.each<[string, Work, MessageMatch, readonly number[]]>([
    ['a simple statement: before CommandComplete', simple, server('CommandComplete', /^INSERT/), [1]],
    ['COPY: before CommandComplete', copyAhead, server('CommandComplete', /^COPY/), [1, 2]],
    ['COMMIT: before CommandComplete', transaction, server('CommandComplete', /^COMMIT/), [1]],
    ['an extended statement: before ReadyForQuery', extended, server('ReadyForQuery'), [1]],
    ['in a transaction: not before COMMIT', transaction, client('Query', /^COMMIT/), []],
  ])('%s', async (_, work, when, ids) => {
    await withWire(database.directConnectionString, async (pgClient, proxy) => {
      const fault = proxy.inject({ when, action: 'freeze' })
      const answer = work(pgClient)
      await fault.fired
      expect(await stored()).toEqual(ids)
      proxy.thaw()
      await answer
      expect(await stored()).not.toEqual([])
    })
  })

  it('several statements in one Query: not at the CommandComplete of the first', async () => {
    await withWire(database.directConnectionString, async (pgClient, proxy) => {
      const holder = await connect(database.directConnectionString)
      await holder.query('SELECT pg_advisory_lock(1)')
      // The second answer pushes the first one out of the server's buffer.
      const sql = `INSERT INTO t VALUES (1); SELECT repeat('x', 20000); SELECT pg_advisory_lock(1)`
      const fault = proxy.inject({ when: server('CommandComplete', /^INSERT/), action: 'freeze' })
      const answer = pgClient.query(sql)
      await fault.fired
      expect(await stored()).toEqual([])
      await holder.end()
      proxy.thaw()
      await answer
      expect(await stored()).toEqual([1])
    })
  })
})

describe('when a fault fires', () => {
  it('counts matches from the n-th, as often as it is told, over all connections', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const fault = proxy.inject({
      when: { from: 'client', message: 'Query', text: /INSERT/g, nth: 2 },
      action: 'cut-before',
      times: 2,
    })
    const outcomes: string[] = []
    for (let attempt = 0; attempt < 5; attempt++) {
      const pgClient = await connect(proxy.connectionString)
      outcomes.push(
        await simple(pgClient).then(
          () => 'ok',
          () => 'cut',
        ),
      )
      await pgClient.end().catch(() => undefined)
    }
    expect(outcomes).toEqual(['ok', 'cut', 'cut', 'ok', 'ok'])
    expect(fault.count).toBe(2)
    expect(await fault.fired).toEqual({ connection: 2, text: 'INSERT INTO t VALUES (1)' })
  })

  it('delays a message, and keeps the order', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const pgClient = await connect(proxy.connectionString, true)
    proxy.inject({ when: client('Query', /1/), action: { delayMs: 200 } })
    const start = performance.now()
    const answers = await Promise.all([pgClient.query('SELECT 1 AS n'), pgClient.query('SELECT 2 AS n')])
    expect(performance.now() - start).toBeGreaterThan(190)
    expect(answers.map(answer => answer.rows)).toEqual([[{ n: 1 }], [{ n: 2 }]])
    await pgClient.end()
  })

  it('breaks the start of a connection', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const spec = { action: 'cut-after', when: client('StartupMessage', /database=tripwire_test/) } as const
    const fault = proxy.inject(spec)
    await expect(connect(proxy.connectionString)).rejects.toThrow('terminated')
    await fault.settled
    await (await connect(proxy.connectionString)).end()
  })

  it('does not wait for ever for a fault that never fired', async () => {
    const proxy = await startWireProxy({ target: database.directConnectionString })
    const fault = proxy.inject({ when: client('Query', /never/), action: 'freeze' })
    await proxy.close()
    await expect(fault.fired).rejects.toThrow('closed before Query /never/ of the client came')
    await expect(fault.settled).rejects.toThrow('closed')
  })

  it.each<[FaultSpec, string]>([
    [{ when: { from: 'client', message: 'Query', nth: 0 }, action: 'freeze' }, 'nth must be'],
    [{ when: { from: 'client', message: 'Query' }, action: 'freeze', times: 0 }, 'times must be'],
    [{ when: { from: 'client', message: 'Sync', text: /x/ }, action: 'freeze' }, 'has no text'],
    [{ when: { from: 'client', message: 'Terminate' }, action: 'cut-after' }, 'has none'],
  ])('refuses a fault that cannot fire', async (spec, message) => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    expect(() => proxy.inject(spec)).toThrow(message)
  })
})
