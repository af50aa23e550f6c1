import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { installedPackageDirs } from '../../src/embedded/platform-package.ts'
import {
  FAST,
  failureOf,
  isLinux,
  isRoot,
  NOBODY,
  OWNER_FIXTURE,
  query,
  reportOf,
  spawnOwner,
  stopAfterTest,
  succeeds,
  temporaryFolder,
} from './support.ts'

const rootOnLinux = isRoot && isLinux
const hasSetpriv = succeeds('setpriv', ['--version'])
const nobodyRunsNode = rootOnLinux && succeeds(process.execPath, ['--check', OWNER_FIXTURE], NOBODY)

describe.skipIf(!rootOnLinux)('as root (needs root on Linux)', { timeout: 60_000 }, () => {
  it('the server runs under another account, and gets no extra right where it needs none', async () => {
    const dataDir = join(temporaryFolder(), 'deep', 'data')
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0)
    expect(capabilitiesOf(server.pid)).toBe(0n)
    const ownedByRoot = readdirSync(dataDir).filter(name => statSync(join(dataDir, name)).uid === 0)
    expect(ownedByRoot).toEqual([])
  })

  it('the server runs under the owner of the folder', async () => {
    const dataDir = temporaryFolder(0o700)
    chownSync(dataDir, NOBODY.uid, NOBODY.gid)
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir, settings: FAST }))
    expect(statSync(`/proc/${server.pid}`).uid).toBe(NOBODY.uid)
  })

  it('a copy of the folder that belongs to root is handed over', async () => {
    const folder = temporaryFolder()
    const original = join(folder, 'original')
    await (await startEmbeddedPostgres({ dataDir: original, settings: FAST })).stop()
    const copy = join(folder, 'copy')
    cpSync(original, copy, { recursive: true })
    expect(statSync(join(copy, 'cluster')).uid).toBe(0)
    const server = stopAfterTest(await startEmbeddedPostgres({ dataDir: copy, settings: FAST }))
    expect(await query(server.connectionString, 'SELECT 1')).toEqual([1])
  })

  it.skipIf(!hasSetpriv)('data and programs may lie where only root may enter (needs setpriv)', async () => {
    const closed = temporaryFolder(0o700)
    const [packageDir = ''] = installedPackageDirs(18)
    cpSync(packageDir, join(closed, 'package'), { recursive: true, verbatimSymlinks: true })
    const options = {
      dataDir: join(closed, 'data'),
      binDir: join(closed, 'package', 'native', 'bin'),
      settings: FAST,
    }
    for (let time = 0; time < 2; time++) {
      const server = stopAfterTest(await startEmbeddedPostgres(options))
      expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0)
      expect(capabilitiesOf(server.pid)).not.toBe(0n)
      expect(await query(server.connectionString, 'SELECT 1')).toEqual([1])
      await server.stop()
    }
    // Programs that only root may run, as after an installation with the umask 077, need the stronger right.
    for (const name of ['initdb', 'postgres']) chmodSync(join(options.binDir, name), 0o700)
    rmSync(options.dataDir, { recursive: true })
    const server = stopAfterTest(await startEmbeddedPostgres(options))
    expect(await query(server.connectionString, 'SELECT 1')).toEqual([1])
  })
})

describe.skipIf(!nobodyRunsNode)(
  'as an ordinary user (needs root, and node within reach)',
  { timeout: 60_000 },
  () => {
    it('the server runs under the same account; root may use the folder later, and the user again', async () => {
      const dataDir = temporaryFolder(0o700)
      chownSync(dataDir, NOBODY.uid, NOBODY.gid)
      for (const identity of [NOBODY, {}, NOBODY]) {
        const owner = spawnOwner({ dataDir, settings: FAST }, identity)
        const { pid, connectionString } = await reportOf(owner)
        expect(statSync(`/proc/${pid}`).uid).toBe(NOBODY.uid)
        expect(await query(connectionString, 'SELECT 1')).toEqual([1])
        const exited = new Promise(resolve => owner.once('exit', resolve))
        owner.stdin?.end()
        await exited
      }
    })

    it('a server whose owner was killed is found and ended', async () => {
      const dataDir = temporaryFolder(0o700)
      chownSync(dataDir, NOBODY.uid, NOBODY.gid)
      const first = spawnOwner({ dataDir, settings: FAST }, NOBODY)
      const { pid } = await reportOf(first)
      first.kill('SIGKILL')
      const second = await reportOf(spawnOwner({ dataDir, settings: FAST }, NOBODY))
      expect(second.pid).not.toBe(pid)
      expect(await query(second.connectionString, 'SELECT 1')).toEqual([1])
    })

    it('a folder or a cluster of another account is refused with its name', async () => {
      const closed = temporaryFolder(0o755)
      const open = temporaryFolder(0o777)
      mkdirSync(join(open, 'cluster'))
      for (const dataDir of [closed, open, join(closed, 'new')]) {
        const report = await reportOf(spawnOwner({ dataDir }, NOBODY))
        expect(report.code).toBe('EMBEDDED_START_FAILED')
        if (dataDir !== join(closed, 'new')) expect(report.message).toMatch(/belongs to root/)
        expect(report.hint).toMatch(/data folder/)
      }
      expect(await failureOf(startEmbeddedPostgres({ dataDir: open }))).toMatchObject({
        code: 'EMBEDDED_START_FAILED',
      })
    })
  },
)

function capabilitiesOf(pid: number): bigint {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)?.[1] ?? ''}`)
}
