import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'

export const URL_VARIABLE = 'TRIPWIRE_BENCH_DATABASE_URL'

/** The server that is measured, and a folder that it can read as well. */
export interface BenchServer extends AsyncDisposable {
  /** Only for making databases: what lies in this one is not touched. */
  readonly connectionString: string
  readonly folder: string
  readonly origin: string
}

/** The server of TRIPWIRE_BENCH_DATABASE_URL, or an embedded one with the settings of PostgreSQL: fully durable. */
export async function openBenchServer(): Promise<BenchServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-bench-'))
  const removeFolder = () => rm(folder, { recursive: true, force: true })
  try {
    // The server may run under another account than this process, and has to reach its data and the files for COPY.
    await chmod(folder, 0o755)
    const given = process.env[URL_VARIABLE]
    if (given) {
      return { connectionString: given, folder, origin: URL_VARIABLE, [Symbol.asyncDispose]: removeFolder }
    }
    const server = await startEmbeddedPostgres({ dataDir: join(folder, 'data') })
    return {
      connectionString: server.connectionString,
      folder,
      origin: 'embedded',
      [Symbol.asyncDispose]: async () => {
        await server.stop()
        await removeFolder()
      },
    }
  } catch (error) {
    await removeFolder()
    throw error
  }
}
