import { connect } from 'node:net'
import type pg from 'pg'

/** The code of a CancelRequest, in the place of a protocol version. */
const CANCEL_REQUEST_CODE = 80_877_102
const MESSAGE_BYTES = 16
const LONGEST_WAIT_MS = 5000

/**
 * Asks the server to cancel what a connection runs (PostgreSQL manual, "Canceling Requests in Progress"). It goes over a
 * connection of its own, also through a pooler, and without TLS, which the server allows: the key is good for this alone.
 * Returns when the server has taken the request, or cannot be reached. What ran may have ended before it arrived.
 */
export async function sendCancelRequest(client: pg.PoolClient): Promise<void> {
  const request = encodeCancelRequest(client)
  const target = targetOf(client)
  if (!request || !target) return
  await new Promise<void>(resolve => {
    // Its end stays open until the server closes: PgBouncer forgets a request whose client has said goodbye, or ends (1.18).
    const socket = connect(target, () => socket.write(request))
    socket.setTimeout(LONGEST_WAIT_MS, () => socket.destroy())
    // The server closes the connection once it has passed the request on. It never answers.
    socket.on('data', () => undefined)
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
}

function encodeCancelRequest(client: object): Buffer | undefined {
  if (!('processID' in client) || typeof client.processID !== 'number') return undefined
  if (!('secretKey' in client) || typeof client.secretKey !== 'number') return undefined
  const message = Buffer.alloc(MESSAGE_BYTES)
  message.writeInt32BE(MESSAGE_BYTES, 0)
  message.writeInt32BE(CANCEL_REQUEST_CODE, 4)
  message.writeInt32BE(client.processID, 8)
  message.writeInt32BE(client.secretKey, 12)
  return message
}

function targetOf(client: object): { host: string; port: number } | { path: string } | undefined {
  if (!('host' in client) || typeof client.host !== 'string') return undefined
  if (!('port' in client) || typeof client.port !== 'number') return undefined
  const { host, port } = client
  return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
}
