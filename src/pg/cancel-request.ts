import pg from 'pg'

const LONGEST_WAIT_MS = 5000

/** What the driver's connections can do, and its types do not tell. */
interface BareConnection extends pg.Connection {
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: number): void
}

/** By which the server knows whom to cancel. Whoever has both can cancel. */
interface CancelKey {
  readonly processID: number
  readonly secretKey: number
}

/**
 * Asks the server to cancel what a connection runs (PostgreSQL manual, "Canceling Requests in Progress"). It goes over a connection of its
 * own, also through a pooler, which is made as the other one was: with TLS where that has it, by the same settings, and never
 * without. Returns when the server has taken the request, or cannot be reached. What ran may have ended before it arrived.
 */
export async function sendCancelRequest(client: pg.PoolClient, connectionString: string): Promise<void> {
  const key = cancelKeyOf(client)
  if (!key) return
  try {
    await sendOver(new pg.Client({ connectionString }), key)
  } catch {
    // A file of the settings cannot be read any more. The server is not reached, then.
  }
}

function cancelKeyOf(client: object): CancelKey | undefined {
  if (!('processID' in client) || typeof client.processID !== 'number') return undefined
  if (!('secretKey' in client) || typeof client.secretKey !== 'number') return undefined
  return { processID: client.processID, secretKey: client.secretKey }
}

async function sendOver(client: pg.Client, { processID, secretKey }: CancelKey): Promise<void> {
  const { connection, host, port, ssl } = client
  if (!isBareConnection(connection)) return
  await new Promise<void>(resolve => {
    const giveUp = () => connection.stream.destroy()
    const timeout = setTimeout(giveUp, LONGEST_WAIT_MS)
    const cancel = () => connection.cancel(processID, secretKey)
    connection.on('connect', () => {
      if (!ssl) cancel()
      else if (!negotiatesDirectly(client)) connection.requestSsl()
    })
    // Not before the certificate of the server was checked.
    connection.on('sslconnect', () => connection.stream.once('secureConnect', cancel))
    connection.on('error', giveUp)
    // Its end stays open until the server closes: PgBouncer forgets a request whose client has said goodbye, or ends (1.18).
    // The server closes the connection once it has passed the request on. It never answers.
    connection.on('end', () => {
      clearTimeout(timeout)
      resolve()
    })
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
    else connection.connect(port, host)
  })
}

function isBareConnection(connection: pg.Connection): connection is BareConnection {
  return ['connect', 'requestSsl', 'cancel'].every(
    name => typeof Reflect.get(connection, name) === 'function',
  )
}

function negotiatesDirectly(client: object): boolean {
  return 'sslNegotiation' in client && client.sslNegotiation === 'direct'
}
