import { connect, createServer, type Socket } from 'node:net'

/** Stands between a store and the server, and can fail in the ways that networks do. */
export interface TcpProxy extends AsyncDisposable {
  readonly connectionString: string
  /** Lets nothing through any more, and says nothing about it. */
  freeze(): void
  /** New bytes pass again; what was swallowed stays lost. */
  thaw(): void
  /** Breaks every connection; new ones are accepted. */
  cut(): void
  /** Breaks every connection and refuses new ones. */
  stop(): Promise<void>
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const url = new URL(target)
  const sockets = new Set<Socket>()
  let frozen = false
  const server = createServer({ allowHalfOpen: true }, client => {
    const upstream = connect(Number(url.port || 5432), url.hostname)
    relay(client, upstream)
    relay(upstream, client)
  })

  function relay(source: Socket, sink: Socket): void {
    sockets.add(source)
    source.on('data', bytes => {
      if (!frozen) sink.write(bytes)
    })
    source.on('error', () => undefined)
    source.on('end', () => {
      if (!frozen) sink.end()
    })
    source.on('close', () => {
      sockets.delete(source)
      if (!frozen) sink.destroy()
    })
  }

  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const stop = async () => {
    cut()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }

  await new Promise<void>(resolve => server.listen({ port: 0, host: '127.0.0.1' }, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const own = new URL(target)
  own.hostname = '127.0.0.1'
  own.port = String(address.port)
  return {
    connectionString: own.toString(),
    freeze: () => {
      frozen = true
    },
    thaw: () => {
      frozen = false
    },
    cut,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
