import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { Database } from '../../src/pg/database.ts'
import { connectClient } from '../partitions/fixtures.ts'
import { rejection } from '../store/fixtures.ts'
import { runAdminSql } from '../support/admin-sql.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { opensslMissing, startTlsServer, type TlsServer } from '../support/tls-server.ts'
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts'

/** Of a CancelRequest, before the key. */
const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46])

describeUnless(opensslMissing(), 'a cancel request', () => {
  let server: TlsServer
  beforeAll(async () => {
    server = await startTlsServer()
    await runAdminSql(server.connectionString, 'CREATE TABLE held ()')
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const trusted = () => `sslmode=verify-full&sslrootcert=${server.certificateFile}`
  const sqlOf = (text: string) => runAdminSql(server.connectionString, text)
  const waiting = () => sqlOf(`SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)

  /** What clients sent through the proxy, in all connections together. */
  let sent: Buffer
  async function startProxy(parameters: string): Promise<WireProxy> {
    const chunks: Buffer[] = []
    sent = Buffer.alloc(0)
    const proxy = await startWireProxy({
      target: `${server.connectionString}?${parameters}`,
      tls: 'passed',
      watch: (from, chunk) => {
        if (from === 'client') chunks.push(chunk)
        sent = Buffer.concat(chunks)
      },
    })
    onTestFinished(() => proxy.close())
    return proxy
  }

  /** Calls back when a statement runs that waits for a lock, and returns what it is rejected with when it is cancelled then. */
  async function cancelOne(connectionString: string, meanwhile: () => Promise<void> = async () => undefined) {
    await using holder = await connectClient(server.connectionString)
    await holder.query('BEGIN; LOCK TABLE held')
    const db = new Database({
      connectionString,
      maxConnections: 1,
      connectTimeoutMs: 10_000,
      applicationName: 'cancelled',
    })
    try {
      const stop = new AbortController()
      const failing = rejection(db.withSignal(stop.signal).query('SELECT FROM held'))
      await expect.poll(waiting, { timeout: 20_000 }).toHaveLength(1)
      await meanwhile()
      stop.abort()
      const error = await failing
      return { error, stillWaiting: (await waiting()).length }
    } finally {
      db.destroy()
      await db.close()
    }
  }

  const CANCELLED = { error: { sqlState: '57014' }, stillWaiting: 0 }
  /** The connection was broken, because the server did not stop. It will notice when the statement is over. */
  const BROKEN = { error: { code: 'CONNECTION_FAILED' }, stillWaiting: 1 }

  it('goes without TLS where the connection has none', async () => {
    const proxy = await startProxy('')
    expect(await cancelOne(proxy.connectionString)).toMatchObject(CANCELLED)
    expect(sent.includes(CANCEL_REQUEST)).toBe(true)
    expect(proxy.log).toContainEqual(expect.stringContaining('CancelRequest'))
  })

  it.each([
    ['a certificate that is checked', '127.0.0.1', trusted],
    ['one for a name', 'localhost', trusted],
    ['one that is not checked', '127.0.0.1', () => 'sslmode=no-verify'],
  ])(
    'goes with TLS where the connection has it, and cannot be read: with %s',
    async (_, host, parameters) => {
      const proxy = await startProxy(parameters())
      const url = new URL(proxy.connectionString)
      url.hostname = host
      expect(await cancelOne(url.toString())).toMatchObject(CANCELLED)
      expect(proxy.log.filter(line => line.includes('SSLRequest'))).toHaveLength(2)
      expect(sent.includes(CANCEL_REQUEST)).toBe(false)
    },
  )

  it('begins with TLS where the connection does (sslnegotiation=direct, from PostgreSQL 17 on)', async context => {
    context.skip(server.majorVersion < 17, 'this server knows no such negotiation')
    const proxy = await startProxy(`${trusted()}&sslnegotiation=direct`)
    expect(await cancelOne(proxy.connectionString)).toMatchObject(CANCELLED)
    expect(proxy.log.filter(line => line.includes('TLS without a request'))).toHaveLength(2)
    expect(sent.includes(CANCEL_REQUEST)).toBe(false)
  })

  it('is not sent where somebody says that there is no TLS any more', async () => {
    const proxy = await startProxy(trusted())
    const refuse = async () => {
      proxy.tls = 'refused'
    }
    expect(await cancelOne(proxy.connectionString, refuse)).toMatchObject(BROKEN)
    expect(proxy.log.filter(line => line.includes('SSLRequest')).length).toBeGreaterThan(1)
    expect(sent.includes(CANCEL_REQUEST)).toBe(false)
  }, 20_000)

  it('ends with the connection, where the server takes requests and is silent', async () => {
    const proxy = await startProxy('')
    const startedAt = performance.now()
    expect(await cancelOne(proxy.connectionString, async () => proxy.freezeAll())).toMatchObject(BROKEN)
    // All requests have ended: the last one alone would wait for longer than that.
    expect(performance.now() - startedAt).toBeLessThan(8000)
    expect(proxy.connections).toBeGreaterThan(5)
  }, 20_000)

  it('is not sent to a server that does not show the certificate that is trusted', async () => {
    expect(
      await cancelOne(`${server.connectionString}?${trusted()}`, () => server.renewCertificate()),
    ).toMatchObject(BROKEN)
  }, 20_000)
})
