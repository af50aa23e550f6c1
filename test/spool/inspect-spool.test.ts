import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inspectSpool } from '../../src/spool/inspect-spool.ts'
import { Spool } from '../../src/spool/spool.ts'
import { alertNumbers, errorOf, openSpool, overwrite, spoolFolder } from './support.ts'

const FIXTURE = fileURLToPath(new URL('./append-until-killed.fixture.ts', import.meta.url))

async function startOwner(folder: string, batch: number): Promise<ChildProcess> {
  const args = ['--disable-warning=ExperimentalWarning', FIXTURE, folder, String(batch), '0']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (child.stdout === null) throw new Error('the process has no output')
  await once(child.stdout, 'data')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Names, bytes and times of everything in a folder. */
function stateOf(folder: string) {
  return readdirSync(folder)
    .sort()
    .map(name => {
      const { mtimeMs, ino } = statSync(join(folder, name))
      return { name, ino, mtimeMs, bytes: readFileSync(join(folder, name)).toString('base64') }
    })
}

describe('a spool that nobody has open', () => {
  it.each([
    ['new', 0, 0],
    ['with alerts', 1000, 0],
    ['from whose front alerts were removed', 1000, 900],
    ['that was emptied', 3000, 3000],
  ])('%s: tells what the spool itself would tell, and nothing in the folder changes', (_, count, removed) => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    spool.append([...alertNumbers(0, count), ...alertNumbers(count, count > 0 ? 2 : 0, 30_000)])
    spool.remove(Array.from({ length: removed }, (_value, index) => index + 1))
    const { alerts, bytes } = spool.size
    spool.close()
    const before = stateOf(folder)
    expect(inspectSpool(folder)).toMatchObject({
      isInUse: false,
      waiting: { alerts, bytes, isDamaged: false },
      reason: undefined,
      setAside: [],
    })
    expect(stateOf(folder)).toEqual(before)
  })

  it('is read with the log that a killed process left behind', { timeout: 30_000 }, async () => {
    for (let round = 0; round < 5; round++) {
      const folder = spoolFolder()
      await kill(await startOwner(folder, 40))
      const inspected = inspectSpool(folder)
      expect(inspected?.isInUse).toBe(false)
      const { alerts, bytes } = openSpool(folder).size
      expect(inspected?.waiting).toEqual({ alerts, bytes, isDamaged: false })
    }
  })

  it('is found damaged where a row, the log or all of it is', () => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    spool.append(alertNumbers(0, 200))
    spool.close()
    const database = join(folder, 'spool.db')
    const at = readFileSync(database).indexOf('rule 77')
    expect(at).toBeGreaterThan(0)
    overwrite(database, at, Buffer.from('ruin'))
    expect(inspectSpool(folder)?.waiting).toMatchObject({ alerts: 199, isDamaged: true })
    openSpool(folder).close()
    const mended = inspectSpool(folder)
    expect(mended?.waiting).toMatchObject({ alerts: 199, isDamaged: false })
    expect(mended?.setAside).toEqual([expect.stringMatching(/^spool\.damaged-.*\.jsonl$/)])
    rmSync(database)
    expect(inspectSpool(folder)).toMatchObject({ setAside: [expect.any(String)] })
  })

  it('is none where there is no folder, no spool in it, or a file in its place', () => {
    const folder = spoolFolder()
    expect(inspectSpool(folder)).toBeUndefined()
    mkdirSync(folder)
    expect(inspectSpool(folder)).toBeUndefined()
    expect(readdirSync(folder)).toEqual([])
    expect(inspectSpool(fileURLToPath(import.meta.url))).toBeUndefined()
  })
})

describe('a spool that somebody has open', { timeout: 30_000 }, () => {
  it('is told from outside while its owner does nothing, and the owner keeps it', async () => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    spool.append(alertNumbers(0, 50))
    const { alerts, bytes } = spool.size
    spool.close()
    const owner = await startOwner(folder, 0)
    for (let round = 0; round < 20; round++) {
      expect(inspectSpool(folder)).toMatchObject({
        isInUse: true,
        holderPid: owner.pid,
        waiting: { alerts, bytes, isDamaged: false },
      })
    }
    expect(errorOf(() => Spool.open({ folder })).code).toBe('SPOOL_IN_USE')
    await kill(owner)
    expect(inspectSpool(folder)?.isInUse).toBe(false)
  })

  it('never looks damaged while its owner writes, and the owner goes on', async () => {
    const folder = spoolFolder()
    const owner = await startOwner(folder, 20)
    if (owner.stdout === null) throw new Error('the process has no output')
    for (let round = 0; round < 12; round++) {
      const inspected = inspectSpool(folder)
      expect(inspected?.isInUse).toBe(true)
      if (inspected?.waiting) expect(inspected.waiting).toMatchObject({ isDamaged: false })
      else expect(inspected?.reason).toBe('its files are being written')
      if (round % 4 === 0) await once(owner.stdout, 'data')
    }
    expect(owner.exitCode).toBeNull()
    await kill(owner)
    expect(openSpool(folder).recovery).toMatchObject({ damaged: 0, setAside: [] })
  })

  it('is not read by the process that has it, whose locks that would drop', async () => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    spool.append(alertNumbers(0, 10))
    expect(inspectSpool(folder)).toMatchObject({
      isInUse: true,
      holderPid: process.pid,
      waiting: undefined,
      reason: 'this process has it open',
    })
    spool.append(alertNumbers(10, 10))
    const other = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', FIXTURE, folder, '0', '0'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    let refusal = ''
    other.stderr.setEncoding('utf8').on('data', (text: string) => {
      refusal += text
    })
    await once(other, 'close')
    expect(refusal).toContain('SPOOL_IN_USE')
  })
})

it('a spool can be opened while others look at it all the time', { timeout: 30_000 }, async () => {
  const folder = spoolFolder()
  openSpool(folder).close()
  const looking = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      `import { isFolderLocked } from ${JSON.stringify(new URL('../../src/files/folder-lock.ts', import.meta.url).href)}
       console.log('looking')
       for (;;) isFolderLocked(${JSON.stringify(folder)})`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void looking.kill('SIGKILL'))
  if (looking.stdout === null) throw new Error('the process has no output')
  await once(looking.stdout, 'data')
  for (let round = 0; round < 50; round++) openSpool(folder).close()
})
