import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mountDisk, NO_MOUNT } from '../support/mount-disk.ts'
import { alertNumbers, drain, errorOf, openSpool, range } from './support.ts'

describe('a spool on a full disk', () => {
  it('F07: refuses the batch as a whole, keeps the rest, and works again when there is space', context => {
    const disk = mountDisk('size=6144k')
    if (disk === undefined) return context.skip(NO_MOUNT)
    const ballast = join(disk, 'ballast')
    writeFileSync(ballast, Buffer.alloc(3 * 1024 * 1024))
    const folder = join(disk, 'spool')
    const spool = openSpool(folder)
    let taken = 0
    let code: string | undefined
    while (code === undefined) {
      try {
        spool.append(alertNumbers(taken, 100))
        taken += 100
      } catch {
        code = errorOf(() => spool.append(alertNumbers(taken, 100))).code
      }
    }
    expect(code).toBe('SPOOL_FULL')
    expect(taken).toBeGreaterThan(500)
    expect(spool.size.alerts).toBe(taken)
    expect(spool.readOldest(10_000, 1e9).entries).toHaveLength(taken)
    rmSync(ballast)
    spool.append(alertNumbers(taken, 100))
    spool.close()
    expect(drain(openSpool(folder))).toEqual(range(0, taken + 100))
  })

  it('F07: opens on a disk without a free byte, and delivers what is there', context => {
    const disk = mountDisk('size=6144k')
    if (disk === undefined) return context.skip(NO_MOUNT)
    const folder = join(disk, 'spool')
    const first = openSpool(folder)
    first.append(alertNumbers(0, 1000))
    first.close()
    fill(disk)
    const spool = openSpool(folder)
    expect(spool.recovery).toEqual({ alerts: 1000, damaged: 0, setAside: [] })
    expect(spool.readOldest(2000, 1e9).entries).toHaveLength(1000)
    expect(errorOf(() => spool.append(alertNumbers(1000, 100))).code).toBe('SPOOL_FULL')
    rmSync(join(disk, 'ballast'))
    spool.append(alertNumbers(1000, 100))
    expect(drain(spool)).toEqual(range(0, 1100))
  })
})

function fill(disk: string): void {
  try {
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(8 * 1024 * 1024))
  } catch {
    // It is full now.
  }
}
