import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LOCK_FILE, LOCK_PID_FILE, lockFolder, readLockHolder } from '../../src/files/folder-lock.ts'
import { killHard, temporaryFolder } from '../embedded/support.ts'

const LOCK_MODULE = new URL('../../src/files/folder-lock.ts', import.meta.url).href
const HOLD_LOCK = `
  const { lockFolder } = await import(process.argv[1])
  console.log(lockFolder(process.argv[2]) !== null)
  setInterval(() => globalThis.gc(), 50)`

describe('the lock of a folder', { timeout: 20_000 }, () => {
  it('is given once, also within one process, and again after the release', () => {
    const folder = temporaryFolder()
    const lock = lockFolder(folder)
    expect(lock).not.toBeNull()
    expect(lockFolder(folder)).toBeNull()
    expect(readLockHolder(folder)).toBe(process.pid)
    expect(readdirSync(folder).sort()).toEqual([LOCK_FILE, LOCK_PID_FILE])
    lock?.release()
    lock?.release()
    expect(readLockHolder(folder)).toBeUndefined()
    const next = lockFolder(folder)
    expect(next).not.toBeNull()
    // The release of an earlier lock does not touch the present one.
    lock?.release()
    expect(lockFolder(folder)).toBeNull()
    next?.release()
  })

  it('ends with the process that holds it, and is not collected as garbage before', async () => {
    const folder = temporaryFolder()
    const args = ['--expose-gc', '--input-type=module', '-e', HOLD_LOCK, LOCK_MODULE, folder]
    const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void holder.kill('SIGKILL'))
    const [answer] = await once(holder.stdout, 'data')
    expect(String(answer)).toBe('true\n')
    expect(lockFolder(folder)).toBeNull()
    expect(readLockHolder(folder)).toBe(holder.pid)
    await killHard(holder)
    const lock = lockFolder(folder)
    expect(lock).not.toBeNull()
    lock?.release()
  })

  it('throws when the folder does not exist', () => {
    expect(() => lockFolder('/does/not/exist')).toThrow(/unable to open database file/)
  })
})
