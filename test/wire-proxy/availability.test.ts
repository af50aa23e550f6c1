import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import { CopyIn, connect, withWire } from './wire-client.ts'

const database = useTestDatabase('empty')

beforeAll(async () => {
  await database.sql('CREATE TABLE t (id int)')
})
beforeEach(async () => {
  await database.sql('TRUNCATE t')
})

const stored = async () => (await database.sql('SELECT id FROM t ORDER BY id')).map(row => row['id'])

/** `silent` when nothing was heard of it for a moment. */
async function outcome(work: Promise<unknown>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<string>(resolve => {
    timer = setTimeout(resolve, 150, 'silent')
  })
  const heard = work.then(
    () => 'answered',
    () => 'failed',
  )
  return Promise.race([heard, silence]).finally(() => clearTimeout(timer))
}

describe('freezing', () => {
  it('holds a statement, with its connection, until the thaw; others go on', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      const other = await connect(proxy.connectionString)
      const fault = proxy.inject({
        when: { from: 'client', message: 'Query', text: /INSERT/ },
        action: 'freeze',
      })
      const inserted = client.query('INSERT INTO t VALUES (1)')
      await fault.fired
      expect(await outcome(inserted)).toBe('silent')
      await other.query('SELECT 1')
      expect(await stored()).toEqual([])
      proxy.thaw()
      await inserted
      expect(await stored()).toEqual([1])
      await other.end()
    })
  })

  it('of all: new connections are accepted and silent', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      proxy.freezeAll()
      const query = client.query('SELECT 1')
      const late = connect(proxy.connectionString)
      expect(await Promise.all([outcome(query), outcome(late)])).toEqual(['silent', 'silent'])
      expect(proxy.connections).toBe(2)
      proxy.thaw()
      await query
      await (await late).end()
    })
  })

  it('a client that gives up meanwhile: its statement still arrives after the thaw', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      const fault = proxy.inject({ when: { from: 'client', message: 'Query' }, action: 'freeze' })
      const inserted = client.query('INSERT INTO t VALUES (1)').catch(() => undefined)
      await fault.fired
      client.connection.stream.destroy()
      await inserted
      expect(await stored()).toEqual([])
      proxy.thaw()
      await fault.settled
      expect(await stored()).toEqual([1])
    })
  })

  it('in the midst of a large COPY, then cut', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      const rows = Array.from({ length: 5000 }, (_, id) => Buffer.from(`${id}\n`.padStart(1000, '0')))
      const fault = proxy.inject({
        when: { from: 'client', message: 'CopyData', nth: 4000 },
        action: 'freeze',
      })
      const copied = client.query(new CopyIn('COPY t FROM STDIN', rows, true)).done
      const failed = expect(copied).rejects.toThrow()
      await fault.fired
      await proxy.cutAll()
      await failed
      expect(await stored()).toEqual([])
    })
  })
})

describe('the database away', () => {
  it('refuses new connections, leaves those that are open, and comes back on the same port', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      const { connectionString } = proxy
      for (let round = 0; round < 3; round++) {
        proxy.refuse()
        await expect(connect(connectionString)).rejects.toThrow('ECONNREFUSED')
        await client.query('SELECT 1')
        await proxy.accept()
        await (await connect(connectionString)).end()
      }
      expect(proxy.connectionString).toBe(connectionString)
    })
  })

  it('cuts those that are open, too', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      proxy.refuse({ cut: true })
      await expect(client.query('SELECT 1')).rejects.toThrow()
      expect(proxy.connections).toBe(0)
      await expect(connect(proxy.connectionString)).rejects.toThrow('ECONNREFUSED')
    })
  })

  it('cutAll: the server has ended them when it resolves', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const clients = await Promise.all([1, 2, 3].map(() => connect(proxy.connectionString)))
    await clients[0]?.query('BEGIN; LOCK TABLE t')
    await proxy.cutAll()
    const left = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name <> 'test admin'`
    expect(await database.sql(left)).toEqual([{ n: 0 }])
    await database.sql('BEGIN; LOCK TABLE t NOWAIT; COMMIT')
  })
})

describe('closing', () => {
  it.each(['idle', 'frozen', 'delayed', 'copying', 'frozen before the start'])(
    'ends what is %s',
    async state => {
      const proxy = await startWireProxy({ target: database.directConnectionString })
      if (state === 'frozen before the start') proxy.freezeAll()
      const connecting = connect(proxy.connectionString)
      connecting.catch(() => undefined)
      const when = { from: 'client', message: 'Query', text: /INSERT/ } as const
      if (state === 'frozen before the start') {
        await expect.poll(() => proxy.connections).toBe(1)
        await proxy.close()
        await expect(connecting).rejects.toThrow()
      } else {
        const client = await connecting
        let answer: Promise<unknown> = new Promise(resolve => client.once('end', resolve))
        if (state === 'frozen' || state === 'delayed') {
          const fault = proxy.inject({ when, action: state === 'frozen' ? 'freeze' : { delayMs: 3_600_000 } })
          answer = client.query('INSERT INTO t VALUES (1)')
          await fault.fired
        } else if (state === 'copying') {
          const fault = proxy.inject({
            when: { from: 'server', message: 'CopyInResponse' },
            action: 'freeze',
          })
          answer = client.query(new CopyIn('COPY t FROM STDIN', [Buffer.from('1\n')], false)).done
          await fault.fired
        }
        const ended = answer.then(
          () => 'ended',
          () => 'ended',
        )
        await proxy.close()
        expect(await ended).toBe('ended')
      }
      expect(proxy.connections).toBe(0)
      await proxy.close()
      await expect(proxy.accept()).rejects.toThrow('closed')
      expect(await stored()).toEqual([])
    },
  )
})
