import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Spool } from '../../src/spool/spool.ts'
import { drain, errorOf, openSpool, range, spoolFolder } from './support.ts'

const FIXTURE = fileURLToPath(new URL('./append-until-killed.fixture.ts', import.meta.url))

function start(folder: string, batch: number, first = 0): ChildProcess {
  const args = ['--disable-warning=ExperimentalWarning', FIXTURE, folder, String(batch), String(first)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Kills the process some time after its first acknowledgement. @returns the last count it acknowledged. */
async function killAfter(child: ChildProcess, milliseconds: number): Promise<number> {
  if (child.stdout === null) throw new Error('the process has no output')
  let acknowledged = 0
  for await (const line of createInterface(child.stdout)) {
    if (acknowledged === 0) setTimeout(() => child.kill('SIGKILL'), milliseconds)
    acknowledged = Number(line)
  }
  return acknowledged
}

describe('a spool and the processes around it', { timeout: 30_000 }, () => {
  it('has every acknowledged alert once and in order after kill -9, and at most one batch more', async () => {
    const folder = spoolFolder()
    const batch = 50
    let first = 0
    for (let round = 0; round < 8; round += 1) {
      const acknowledged = await killAfter(start(folder, batch, first), (round * 37) % 150)
      expect(acknowledged).toBeGreaterThan(first)
      const spool = openSpool(folder)
      const found = spool.size.alerts
      expect(spool.recovery).toEqual({ alerts: found, damaged: 0, setAside: [] })
      expect([acknowledged, acknowledged + batch]).toContain(found)
      first = found
      spool.close()
    }
    expect(drain(openSpool(folder))).toEqual(range(0, first))
  })

  it('belongs to one process, whose id the refusal names, and is free when that was killed', async () => {
    const folder = spoolFolder()
    const holder = start(folder, 0)
    if (holder.stdout === null) throw new Error('the process has no output')
    await once(holder.stdout, 'data')
    const error = errorOf(() => Spool.open({ folder }))
    expect(error.code).toBe('SPOOL_IN_USE')
    expect(error.message).toContain(`process ${holder.pid} has the spool`)
    expect(error.hint).toMatch(/folder of its own/)
    const exited = once(holder, 'exit')
    holder.kill('SIGKILL')
    await exited
    expect(openSpool(folder).size.alerts).toBe(0)
  })
})
