import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'

export interface TestServer {
  /** A role that may create databases. */
  readonly adminUrl: string
  stop(): Promise<void>
}

const SETTINGS = {
  // Durability is for the tests of durability; here the server dies with its folder.
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  // A pooler keeps connections for every role of a test.
  max_connections: '200',
}

/**
 * The server that the tests run on:
 * - TRIPWIRE_TEST_DATABASE_URL: one that is there already;
 * - TRIPWIRE_TEST_BACKEND=container: `postgres:15-alpine` in Docker;
 * - otherwise PostgreSQL from npm. TRIPWIRE_TEST_POSTGRES_BIN names the folder of another build of it.
 *
 * TRIPWIRE_TEST_POOLER=pgbouncer puts a pooler before any of them: see test-pooler.ts.
 */
export async function startTestServer(env: NodeJS.ProcessEnv): Promise<TestServer> {
  const url = env['TRIPWIRE_TEST_DATABASE_URL']
  if (url) return { adminUrl: url, stop: async () => undefined }
  const backend = env['TRIPWIRE_TEST_BACKEND'] ?? 'embedded'
  if (backend === 'container') return startContainer()
  if (backend !== 'embedded')
    throw new Error(`TRIPWIRE_TEST_BACKEND: expected embedded or container, got ${backend}`)
  return startEmbedded(env['TRIPWIRE_TEST_POSTGRES_BIN'])
}

async function startEmbedded(binDir: string | undefined): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tripwire-test-'))
  const server = await startEmbeddedPostgres({
    dataDir,
    settings: SETTINGS,
    ...(binDir === undefined ? {} : { binDir }),
  })
  return {
    adminUrl: server.connectionString,
    stop: async () => {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

const CONTAINER_IMAGE = 'postgres:15-alpine'
/** Not a dependency: a default installation stays small. */
const CONTAINER_PACKAGE = '@testcontainers/postgresql'

interface ContainerModule {
  readonly PostgreSqlContainer: new (
    image: string,
  ) => { start(): Promise<{ getConnectionUri(): string; stop(): Promise<unknown> }> }
}

async function startContainer(): Promise<TestServer> {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0) {
    throw new Error('TRIPWIRE_TEST_BACKEND=container needs a Docker engine, and none answers to: docker info')
  }
  const { PostgreSqlContainer } = await importContainerModule()
  const container = await new PostgreSqlContainer(CONTAINER_IMAGE).start()
  return {
    adminUrl: container.getConnectionUri(),
    stop: async () => {
      await container.stop()
    },
  }
}

async function importContainerModule(): Promise<ContainerModule> {
  try {
    return await import(CONTAINER_PACKAGE)
  } catch (cause) {
    throw new Error(`TRIPWIRE_TEST_BACKEND=container needs: npm install --no-save ${CONTAINER_PACKAGE}`, {
      cause,
    })
  }
}
