/** What we use of the driver and its types do not promise: docs/design/dependencies.md. A new version that lacks some of it fails here. */
import pg from 'pg'
import { expect, it } from 'vitest'
import { connectClient } from '../partitions/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'

const { directConnectionString } = useTestDatabase('empty')

it('a client that is connected knows by what the server knows it, and how TLS was begun', async () => {
  await using client = await connectClient(directConnectionString)
  const { rows } = await client.query('SELECT pg_backend_pid() AS "processID"')
  expect(client).toMatchObject({
    ...rows[0],
    secretKey: expect.any(Number),
    sslNegotiation: expect.any(String),
    host: expect.any(String),
    port: expect.any(Number),
    ssl: expect.anything(),
  })
})

it('a client keeps the settings of TLS that its connection string names', () => {
  const connectionString = 'postgres://localhost/?sslmode=no-verify&sslnegotiation=direct'
  expect(new pg.Client({ connectionString })).toMatchObject({
    ssl: { rejectUnauthorized: false },
    sslNegotiation: 'direct',
  })
})

it('a connection can be made alone, by the settings of a client, and ask for TLS and for a cancellation', () => {
  const ssl = { rejectUnauthorized: false }
  const tls = { ssl, sslNegotiation: 'direct' }
  expect(new pg.Connection(tls)).toMatchObject({
    ...tls,
    connect: expect.any(Function),
    requestSsl: expect.any(Function),
    cancel: expect.any(Function),
    stream: { destroyed: false, destroy: expect.any(Function) },
  })
})
