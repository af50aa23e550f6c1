import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Spool } from '../../src/spool/spool.ts'
import { alertNumbers, drain, errorOf, openSpool, range, spoolFolder } from './support.ts'

describe('a spool', () => {
  it('gives alerts in the order of append, within the bounds, and keeps them until they are removed', () => {
    const spool = openSpool(spoolFolder())
    expect(spool.recovery).toEqual({ alerts: 0, damaged: 0, setAside: [] })
    expect(spool.readOldest(10, 1000).entries).toEqual([])
    const alerts = alertNumbers(0, 10)
    spool.append(alerts.slice(0, 4))
    spool.append([])
    spool.append(alerts.slice(4))
    expect(spool.readOldest(3, 1_000_000).entries.map(({ alert }) => alert)).toEqual(alerts.slice(0, 3))
    const { entries } = spool.readOldest(100, 1_000_000)
    expect(entries.map(({ alert }) => alert)).toEqual(alerts)
    const oneAlert = spool.size.bytes / 10
    expect(spool.readOldest(100, oneAlert * 3).entries).toHaveLength(3)
    expect(spool.readOldest(100, 1).entries).toHaveLength(1)
    const sequences = entries.map(({ sequence }) => sequence)
    spool.remove([sequences[7] ?? 0, sequences[0] ?? 0, sequences[1] ?? 0, 99_999])
    spool.remove([])
    expect(spool.size).toEqual({ alerts: 7, bytes: oneAlert * 7, damaged: 0 })
    expect(drain(spool)).toEqual([2, 3, 4, 5, 6, 8, 9])
    expect(spool.size).toEqual({ alerts: 0, bytes: 0, damaged: 0 })
  })

  it('keeps what is in it over a close, and never gives a sequence number twice', () => {
    const folder = spoolFolder()
    const first = openSpool(folder)
    first.append(alertNumbers(0, 3))
    first.close()
    first.close()
    expect(readdirSync(folder).sort()).toEqual(['owner.lock', 'spool.db'])
    expect(errorOf(() => first.append(alertNumbers(0, 1))).code).toBe('STORE_CLOSED')
    expect(errorOf(() => first.readOldest(1, 1)).code).toBe('STORE_CLOSED')
    expect(errorOf(() => first.remove([1])).code).toBe('STORE_CLOSED')
    const second = openSpool(folder)
    expect(second.recovery).toEqual({ alerts: 3, damaged: 0, setAside: [] })
    expect(drain(second)).toEqual([0, 1, 2])
    second.close()
    const third = openSpool(folder)
    third.append(alertNumbers(7, 1))
    expect(third.readOldest(1, 1).entries[0]?.sequence).toBe(4)
  })

  it('takes alerts with details of many pages', () => {
    const folder = spoolFolder()
    const alerts = [4030, 4061, 4100, 9000, 1_000_000].flatMap((bytes, index) =>
      alertNumbers(index, 1, bytes),
    )
    const spool = openSpool(folder)
    spool.append(alerts)
    spool.close()
    const { entries } = openSpool(folder).readOldest(10, 10_000_000)
    expect(entries.map(({ alert }) => alert)).toEqual(alerts)
  })

  it('refuses a batch over the size limit as a whole, and takes it when there is room again', () => {
    const spool = openSpool(spoolFolder(), 100_000)
    spool.append(alertNumbers(0, 200))
    const before = spool.size
    const error = errorOf(() => spool.append(alertNumbers(200, 300)))
    expect(error.code).toBe('SPOOL_FULL')
    expect(error.message).toMatch(/300 alerts of \d+ bytes do not fit .* of 100000 bytes are left/)
    expect(spool.size).toEqual(before)
    expect(drain(spool)).toEqual(range(0, 200))
    spool.append(alertNumbers(200, 300))
    expect(drain(spool)).toEqual(range(200, 300))
  })

  it('refuses an alert with a wrong id, and takes nothing of its batch', () => {
    const spool = openSpool(spoolFolder())
    const [good, bad] = alertNumbers(0, 2)
    if (good === undefined || bad === undefined) throw new Error('two alerts were made')
    expect(errorOf(() => spool.append([good, { ...bad, hostId: 'x' }])).code).toBe('INVALID_INPUT')
    expect(spool.size.alerts).toBe(0)
  })

  it('uses the space of removed alerts again, and gives it back when it is empty', () => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    const sizeOf = () => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    spool.append(alertNumbers(0, 4000))
    let largest = 0
    for (let cycle = 0; cycle < 60; cycle += 1) {
      spool.append(alertNumbers(0, 1000))
      spool.remove(spool.readOldest(1000, 10_000_000).entries.map(({ sequence }) => sequence))
      if (cycle >= 5) largest = Math.max(largest, sizeOf())
    }
    // 5,000 alerts of 300 bytes, and the log; 60 cycles have written 18 MB.
    expect(spool.size.alerts).toBe(4000)
    expect(largest).toBeLessThan(9_000_000)
    drain(spool)
    expect(sizeOf()).toBeLessThan(200_000)
  })

  it('appends 1,000 alerts in a few milliseconds', () => {
    const spool = openSpool(spoolFolder())
    const times = range(0, 20).map(() => {
      const alerts = alertNumbers(0, 1000)
      const start = performance.now()
      spool.append(alerts)
      return performance.now() - start
    })
    // Generous, for a machine that is busy with other tests; about 8 ms with an fsync of 1 ms.
    expect(Math.min(...times)).toBeLessThan(100)
  })

  it('is refused to a second holder in the same process', () => {
    const folder = spoolFolder()
    const spool = openSpool(folder)
    const error = errorOf(() => Spool.open({ folder }))
    expect(error.code).toBe('SPOOL_IN_USE')
    expect(error.message).toContain(`process ${process.pid}`)
    spool.close()
    openSpool(folder)
  })

  it('refuses options that make no sense', () => {
    expect(errorOf(() => Spool.open({ folder: '' })).code).toBe('INVALID_INPUT')
    expect(errorOf(() => Spool.open({ folder: '/tmp/x', maxBytes: 0 })).code).toBe('INVALID_INPUT')
    expect(errorOf(() => openSpool(spoolFolder()).readOldest(0, 1)).code).toBe('INVALID_INPUT')
    const error = errorOf(() => Spool.open({ folder: '/dev/null/spool' }))
    expect(error.code).toBe('SPOOL_FAILED')
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('keeps the folder and the files from other accounts', () => {
    const folder = spoolFolder()
    openSpool(folder).append(alertNumbers(0, 1))
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'spool.db')).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'spool.db-wal')).mode & 0o777).toBe(0o600)
  })
})
