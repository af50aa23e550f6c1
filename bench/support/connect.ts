import pg from 'pg'

/** One connection of the plain driver. It is the caller's to end. */
export async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  // Without a listener a connection that dies between two statements ends the process before the clean-up.
  client.on('error', () => undefined)
  await client.connect()
  return client
}
