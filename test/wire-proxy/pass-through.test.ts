import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { startWireProxy } from '../support/wire-proxy.ts'
import { CopyIn, CopyOut, connect, withWire } from './wire-client.ts'

const database = useTestDatabase('empty')
const hash = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  await database.sql('CREATE TABLE copied (id int, content text)')
})

describe('without a fault the proxy passes on', () => {
  it('a large result of many rows', async () => {
    const sql = 'SELECT i, repeat(md5(i::text), 3) AS text FROM generate_series(1, 100000) i'
    await withWire(database.directConnectionString, async client => {
      const result = await client.query<{ i: number; text: string }>(sql)
      expect(result.rows).toHaveLength(100_000)
      expect(hash(JSON.stringify(result.rows))).toBe(hash(JSON.stringify(await database.sql(sql))))
    })
  })

  it('one value of 20 MB, there and back', async () => {
    const value = 'αβγδ-0123456'.repeat(1_300_000)
    await withWire(database.directConnectionString, async client => {
      const result = await client.query<{ value: string }>('SELECT $1::text AS value', [value])
      expect(hash(result.rows[0]?.value ?? '')).toBe(hash(value))
    })
  })

  it('COPY of 20 MB, in and out', async () => {
    const rows = Array.from({ length: 20_000 }, (_, id) =>
      Buffer.from(`${id}\t${'x'.repeat(1000 + (id % 7))}\n`),
    )
    await withWire(database.directConnectionString, async client => {
      const copied = client.query(new CopyIn('COPY copied FROM STDIN', rows, true))
      expect(await copied.done).toBe('COPY 20000')
      const read = client.query(new CopyOut('COPY copied TO STDOUT'))
      expect(await read.done).toBe('COPY 20000')
      expect(hash(Buffer.concat(read.chunks))).toBe(hash(Buffer.concat(rows)))
    })
  })

  it('COPY of one 20 MB chunk, also where a fault looks into it', async () => {
    const row = Buffer.from(`-1\t${'y'.repeat(20_000_000)}\n`)
    await withWire(database.directConnectionString, async (client, proxy) => {
      const fault = proxy.inject({
        when: { from: 'client', message: 'CopyData', text: /needle/ },
        action: 'cut-before',
      })
      for (const text of [row, row]) {
        expect(await client.query(new CopyIn('COPY copied FROM STDIN', [text], false)).done).toBe('COPY 1')
        fault.remove()
      }
      expect(fault.count).toBe(0)
    })
    expect(await database.sql('SELECT sum(length(content))::int AS n FROM copied WHERE id = -1')).toEqual([
      { n: 40_000_000 },
    ])
  })

  it('errors and pipelined extended queries', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const client = await connect(proxy.connectionString, true)
    await expect(client.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' })
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    const answers = numbers.map(number => client.query<{ n: number }>('SELECT $1::int AS n', [number]))
    expect((await Promise.all(answers)).map(answer => answer.rows[0]?.n)).toEqual(numbers)
    await client.end()
  })

  it('notifications to a client that is silent', async () => {
    await withWire(database.directConnectionString, async client => {
      await client.query('LISTEN news')
      const heard = once(client, 'notification')
      await database.sql(`NOTIFY news, 'hello'`)
      expect((await heard)[0]).toMatchObject({ payload: 'hello' })
    })
  })

  it('a cancel request', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const client = new pg.Client({ connectionString: proxy.connectionString })
    const keyed = once(client.connection, 'backendKeyData')
    await client.connect()
    const [key]: { readonly processID: number; readonly secretKey: number }[] = await keyed
    const slow = client.query('SELECT pg_sleep(60)')
    const cancelled = expect(slow).rejects.toMatchObject({ code: '57014' })
    const running = `SELECT FROM pg_stat_activity WHERE pid = ${key?.processID} AND state = 'active'`
    await expect.poll(() => database.sql(running)).toHaveLength(1)
    const request = Buffer.alloc(16)
    for (const [index, value] of [16, 80_877_102, key?.processID ?? 0, key?.secretKey ?? 0].entries()) {
      request.writeInt32BE(value, index * 4)
    }
    connectSocket(Number(new URL(proxy.connectionString).port), '127.0.0.1').end(request)
    await cancelled
    expect(proxy.log.join('\n')).toContain('client CancelRequest')
    await client.end()
  })

  it('an end: nothing is left on either side', async () => {
    await using proxy = await startWireProxy({ target: database.directConnectionString })
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(proxy.connectionString)))
    expect(proxy.connections).toBe(10)
    await Promise.all(clients.map(client => client.end()))
    await expect.poll(() => proxy.connections).toBe(0)
  })

  it('an end that the server makes', async () => {
    await withWire(database.directConnectionString, async (client, proxy) => {
      await expect(client.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({
        code: '57P01',
      })
      await expect.poll(() => proxy.connections).toBe(0)
    })
  })
})

it('a client that asks for TLS is told that there is none', async () => {
  await using proxy = await startWireProxy({ target: database.directConnectionString })
  const client = new pg.Client({ connectionString: proxy.connectionString, ssl: true })
  client.on('error', () => undefined)
  await expect(client.connect()).rejects.toThrow('does not support SSL')
})

it('a server that is not there ends the connection', async () => {
  await using proxy = await startWireProxy({ target: 'postgres://me:pw@127.0.0.1:1/none?application_name=x' })
  expect(proxy.connectionString).toMatch(/^postgres:\/\/me:pw@127\.0\.0\.1:\d+\/none\?application_name=x$/)
  await expect(connect(proxy.connectionString)).rejects.toThrow()
})

it('bytes that are not the protocol end the connection, and only that', async () => {
  await withWire(database.directConnectionString, async (client, proxy) => {
    const socket = connectSocket(Number(new URL(proxy.connectionString).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await once(socket, 'close')
    expect(proxy.log.join('\n')).toContain('no startup packet')
    await client.query('SELECT 1')
  })
})
