import pg from 'pg'

const LONGEST_WAIT_MS = 5000

/** What the driver's connections can do, and its types do not tell: docs/design/dependencies.md. */
interface BareConnection extends pg.Connection {
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: number): void
}

/** Of the driver's client, with what its types do not tell. */
interface ConnectedClient extends pg.Client {
  /** By these two the server knows whom to cancel. Whoever has both can cancel. */
  readonly processID: number
  readonly secretKey: number
  readonly sslNegotiation: string
}

/**
 * Asks the server to cancel what a connection runs (PostgreSQL manual, "Canceling Requests in Progress"). It goes over a connection of its
 * own, also through a pooler, which is made as the other one was: with TLS where that has it, by the same settings, and never
 * without. Returns when the server has taken the request, cannot be reached, or the signal is aborted. What ran may have ended before it arrived.
 */
export async function sendCancelRequest(client: pg.PoolClient, signal: AbortSignal): Promise<void> {
  if (signal.aborted || !isConnected(client)) return
  const { host, port, ssl, sslNegotiation, processID, secretKey } = client
  const tls = { ssl, sslNegotiation }
  const connection = new pg.Connection(tls)
  if (!isBareConnection(connection)) return
  await new Promise<void>(resolve => {
    const giveUp = () => connection.stream.destroy()
    const timeout = setTimeout(giveUp, LONGEST_WAIT_MS)
    signal.addEventListener('abort', giveUp)
    const cancel = () => connection.cancel(processID, secretKey)
    connection.on('connect', () => {
      if (!ssl) cancel()
      else if (sslNegotiation !== 'direct') connection.requestSsl()
    })
    // Not before the certificate of the server was checked.
    connection.on('sslconnect', () => connection.stream.once('secureConnect', cancel))
    connection.on('error', giveUp)
    // Its end stays open until the server closes: PgBouncer forgets a request whose client has said goodbye, or ends (1.18).
    // The server closes the connection once it has passed the request on. It never answers.
    connection.on('end', () => {
      clearTimeout(timeout)
      signal.removeEventListener('abort', giveUp)
      resolve()
    })
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
    else connection.connect(port, host)
  })
}

function isConnected(client: pg.Client): client is ConnectedClient {
  return (
    typeof Reflect.get(client, 'processID') === 'number' &&
    typeof Reflect.get(client, 'secretKey') === 'number' &&
    typeof Reflect.get(client, 'sslNegotiation') === 'string'
  )
}

function isBareConnection(connection: pg.Connection): connection is BareConnection {
  return ['connect', 'requestSsl', 'cancel'].every(
    name => typeof Reflect.get(connection, name) === 'function',
  )
}
