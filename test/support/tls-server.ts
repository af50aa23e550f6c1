import { spawnSync } from 'node:child_process'
import { chown, copyFile, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { runAdminSql } from './admin-sql.ts'

export interface TlsServer extends AsyncDisposable {
  /** Without a word about TLS. */
  readonly connectionString: string
  /** Its certificate, which it signed itself, for 127.0.0.1 and localhost. */
  readonly certificateFile: string
  readonly majorVersion: number
  /** Gives it another certificate, which says the same. For connections that begin from now on. */
  renewCertificate(): Promise<void>
}

/** Why the tests with TLS are skipped here; `undefined` when they can. */
export function opensslMissing(): string | undefined {
  const { status } = spawnSync('openssl', ['version'], { stdio: 'ignore' })
  return status === 0 ? undefined : 'there is no openssl to make a certificate with'
}

/** Starts a server that takes connections with TLS and without, in a folder that goes away with it. */
export async function startTlsServer(): Promise<TlsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tripwire-tls-'))
  const binDir = process.env['TRIPWIRE_TEST_POSTGRES_BIN']
  const dataDir = join(folder, 'server')
  const server = await startEmbeddedPostgres({
    dataDir,
    settings: { fsync: 'off', full_page_writes: 'off' },
    ...(binDir === undefined ? {} : { binDir }),
  })
  const stop = async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const certificateFile = join(folder, 'trusted.crt')
  const giveCertificate = async () => installCertificate(join(dataDir, 'cluster'))
  try {
    await copyFile(await giveCertificate(), certificateFile)
    await runAdminSql(server.connectionString, 'ALTER SYSTEM SET ssl = on')
    await reload(server.connectionString, certificateFile)
    return {
      connectionString: server.connectionString,
      certificateFile,
      majorVersion: Number.parseInt(server.version, 10),
      renewCertificate: async () => {
        await reload(server.connectionString, await giveCertificate())
      },
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Until the server shows the certificate: it is told at once, and acts upon it later. */
async function reload(connectionString: string, certificateFile: string): Promise<void> {
  await runAdminSql(connectionString, 'SELECT pg_reload_conf()')
  const trusting = `${connectionString}?sslmode=verify-full&sslrootcert=${certificateFile}`
  await vi.waitFor(() => runAdminSql(trusting, 'SELECT'), { timeout: 10_000, interval: 20 })
}

/** Under the names that the server looks for. The key has to be of its account. */
async function installCertificate(clusterDir: string): Promise<string> {
  const key = join(clusterDir, 'server.key')
  const certificate = join(clusterDir, 'server.crt')
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', key, '-out', certificate],
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`)
  const { uid, gid } = await stat(clusterDir)
  for (const file of [key, certificate]) await chown(file, uid, gid)
  return certificate
}
