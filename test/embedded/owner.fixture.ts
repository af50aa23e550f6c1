/**
 * A process that owns an embedded server: it prints one line of JSON, and stops the server when its input ends.
 * Run as: node owner.fixture.ts '<options as JSON>'
 */
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { TripwireStorageError } from '../../src/errors.ts'

try {
  const server = await startEmbeddedPostgres(JSON.parse(process.argv[2] ?? '{}'))
  console.log(JSON.stringify({ pid: server.pid, connectionString: server.connectionString }))
  process.stdin.resume().once('end', () => server.stop())
} catch (error) {
  if (!(error instanceof TripwireStorageError)) throw error
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }))
}
