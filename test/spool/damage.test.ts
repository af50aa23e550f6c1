import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { alertNumbers, drain, openSpool, overwrite, range, spoolFolder } from './support.ts'

const PAGE = 4096
const COUNT = 3000
/** With alerts of this size most of the file is not in SQLite's cache of 2 MB, so that damage is seen while it is open. */
const BEYOND_CACHE = 3000

/** A spool of 3,000 alerts that was closed: all is in the database file. */
function closedSpool(bytes?: number) {
  const folder = spoolFolder()
  const spool = openSpool(folder)
  for (let first = 0; first < COUNT; first += 500) spool.append(alertNumbers(first, 500, bytes))
  spool.close()
  const database = join(folder, 'spool.db')
  return { folder, database, pages: statSync(database).size / PAGE }
}

/** The files that a killed process leaves: 1,000 alerts in the database, batches of 20 in the log. */
function killedSpool() {
  const source = spoolFolder()
  const first = openSpool(source)
  first.append(alertNumbers(0, 1000))
  first.close()
  const second = openSpool(source)
  for (let number = 1000; number < 1400; number += 20) second.append(alertNumbers(number, 20))
  const folder = spoolFolder()
  mkdirSync(folder)
  for (const name of ['spool.db', 'spool.db-wal']) copyFileSync(join(source, name), join(folder, name))
  return { folder, database: join(folder, 'spool.db'), wal: join(folder, 'spool.db-wal') }
}

/** Opens the damaged spool, drains it, and makes sure that it works afterwards as if nothing had been. */
function deliver(folder: string) {
  const spool = openSpool(folder)
  const { recovery } = spool
  const numbers = drain(spool)
  expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
  spool.append(alertNumbers(9000, 3))
  const { size, setAside } = spool
  for (const name of setAside) expect(readdirSync(folder)).toContain(name)
  spool.close()
  const next = openSpool(folder)
  expect(next.recovery).toEqual({ alerts: 3, damaged: 0, setAside: [] })
  expect(drain(next)).toEqual([9000, 9001, 9002])
  next.close()
  return { recovery, numbers, size, setAside }
}

/** A small generator, so that a failure can be repeated. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('a damaged spool', { timeout: 30_000 }, () => {
  it('F07: delivers all rows but the one whose bytes changed, which is set aside', () => {
    const { folder, database } = closedSpool()
    const content = readFileSync(database)
    const at = content.indexOf('rule 1234')
    overwrite(database, at, Buffer.from('RULE'))
    const { recovery, numbers, setAside } = deliver(folder)
    expect(recovery).toMatchObject({ alerts: COUNT - 1, damaged: 1 })
    expect(recovery.setAside).toEqual([expect.stringMatching(/^spool\.damaged-.*\.jsonl$/)])
    expect(numbers).toEqual(range(0, COUNT).filter(number => number !== 1234))
    const line = JSON.parse(readFileSync(join(folder, setAside[0] ?? ''), 'utf8'))
    expect(line.sequence).toBe(1235)
    expect(Buffer.from(line.record, 'base64').toString('latin1')).toContain('RULE 1234')
  })

  it('F07: delivers the first part of a file that was cut, and says how much is missing', () => {
    const { folder, database, pages } = closedSpool()
    truncateSync(database, Math.floor(pages / 2) * PAGE + 100)
    const { recovery, numbers } = deliver(folder)
    expect(numbers).toEqual(range(0, numbers.length))
    expect(numbers.length).toBeGreaterThan(COUNT * 0.4)
    expect(recovery.setAside).toHaveLength(1)
    expect(recovery.alerts).toBe(numbers.length)
    expect(recovery.damaged).toBe(COUNT - numbers.length)
  })

  it('F07: delivers all alerts when only the pages that lead to them are lost', () => {
    const { folder, database } = closedSpool()
    // The header of the file and the schema, and the root of the table.
    overwrite(database, 0, Buffer.alloc(2 * PAGE, 0xa5))
    const { recovery, numbers } = deliver(folder)
    expect(numbers).toEqual(range(0, COUNT))
    expect(recovery).toMatchObject({ alerts: COUNT, damaged: 0 })
    expect(recovery.setAside).toEqual([expect.stringMatching(/^spool\.damaged-/)])
  })

  it('F07: loses, of random overwritten ranges, no more than the alerts of the pages that were hit', () => {
    const random = randomNumbers(7)
    const { database, pages } = closedSpool()
    const intact = readFileSync(database)
    for (let round = 0; round < 12; round += 1) {
      const folder = spoolFolder()
      mkdirSync(folder)
      writeFileSync(join(folder, 'spool.db'), intact)
      const length = 1 + random(3 * PAGE)
      const noise = Buffer.from(range(0, length).map(() => random(256)))
      overwrite(join(folder, 'spool.db'), random(pages * PAGE - length), noise)
      const { recovery, numbers, size } = deliver(folder)
      // Four pages of at most 13 alerts.
      expect(numbers.length, `round ${round}`).toBeGreaterThanOrEqual(COUNT - 52)
      expect(numbers.length + size.damaged, `round ${round}`).toBeGreaterThanOrEqual(COUNT - 13)
      if (numbers.length < COUNT - 13) expect(recovery.damaged).toBeGreaterThan(0)
    }
  })

  it('F07: salvages alerts that take many pages each', () => {
    const { folder, database } = closedSpool(10_000)
    overwrite(database, 0, Buffer.alloc(PAGE, 0xff))
    overwrite(database, 1000 * PAGE, Buffer.alloc(PAGE, 0xff))
    const { recovery, numbers } = deliver(folder)
    expect(numbers.length).toBeGreaterThanOrEqual(COUNT - 13)
    expect(recovery.damaged).toBe(COUNT - numbers.length)
  })

  it.each([
    ['empty', Buffer.alloc(0)],
    [
      'no database',
      Buffer.from('this is not a database, but it is long enough to be read as one. '.repeat(200)),
    ],
    ['noise', Buffer.from(range(0, 50_000).map(number => (number * 7919) % 251))],
  ])('F07: starts over when the file is %s', (_, content) => {
    const { folder, database } = closedSpool()
    writeFileSync(database, content)
    const { recovery, numbers } = deliver(folder)
    expect(numbers).toEqual([])
    expect(recovery).toMatchObject({ alerts: 0, setAside: [expect.stringMatching(/^spool\.damaged-/)] })
    expect(readFileSync(join(folder, recovery.setAside[0] ?? '')).equals(content)).toBe(true)
  })

  it('F07: starts over when the file is the database of something else', () => {
    const { folder, database } = closedSpool()
    rmSync(database)
    const other = new DatabaseSync(database)
    other.exec('CREATE TABLE things (name TEXT)')
    other.close()
    expect(deliver(folder).recovery).toMatchObject({ alerts: 0, damaged: 0, setAside: [expect.any(String)] })
  })

  it('F07: delivers all that is in the log after a kill, without a word of damage', () => {
    const { folder } = killedSpool()
    const { recovery, numbers } = deliver(folder)
    expect(numbers).toEqual(range(0, 1400))
    expect(recovery).toEqual({ alerts: 1400, damaged: 0, setAside: [] })
  })

  it('F07: delivers what is in the log behind overwritten bytes, which SQLite would drop', () => {
    const random = randomNumbers(11)
    for (let round = 0; round < 12; round += 1) {
      const { folder, wal } = killedSpool()
      const { size } = statSync(wal)
      overwrite(wal, random(size - 2000), Buffer.alloc(1 + random(2000), 0x3c))
      const { recovery, numbers } = deliver(folder)
      expect(recovery.setAside, `round ${round}`).toHaveLength(2)
      expect(numbers.length + recovery.damaged, `round ${round}`).toBeGreaterThanOrEqual(1400 - 26)
      expect(numbers.slice(0, 1000)).toEqual(range(0, 1000))
    }
  })

  it('F07: opens with a log of noise, without its log, and with a log alone', () => {
    const noise = killedSpool()
    writeFileSync(noise.wal, Buffer.alloc(50_000, 0x77))
    expect(deliver(noise.folder).numbers).toEqual(range(0, 1000))
    const missing = killedSpool()
    rmSync(missing.wal)
    expect(deliver(missing.folder).numbers).toEqual(range(0, 1000))
    const alone = killedSpool()
    rmSync(alone.database)
    const { numbers } = deliver(alone.folder)
    expect(numbers.slice(-400)).toEqual(range(1000, 400))
  })

  it('F07: finds damage while it reads, and goes on with the rest', () => {
    const { folder, database } = closedSpool(BEYOND_CACHE)
    const spool = openSpool(folder)
    expect(spool.recovery).toEqual({ alerts: COUNT, damaged: 0, setAside: [] })
    const content = readFileSync(database)
    for (const number of [700, 2500])
      overwrite(database, content.indexOf(`rule ${number}`), Buffer.from('RULE'))
    expect(drain(spool)).toEqual(range(0, COUNT).filter(number => number !== 700 && number !== 2500))
    expect(spool.size).toEqual({ alerts: 0, bytes: 0, damaged: 2 })
    expect(spool.setAside).toHaveLength(1)
  })

  it('F07: salvages itself when the tree breaks while it is open, and takes alerts again', () => {
    const { folder, database, pages } = closedSpool(BEYOND_CACHE)
    const spool = openSpool(folder)
    const half = Math.floor(pages / 2)
    overwrite(database, half * PAGE, Buffer.alloc(2 * PAGE, 0x5a))
    spool.append(alertNumbers(COUNT, 10))
    const numbers = drain(spool)
    expect(numbers.length).toBeGreaterThanOrEqual(COUNT + 10 - 26)
    expect(numbers.slice(-10)).toEqual(range(COUNT, 10))
    expect(spool.size.damaged).toBe(COUNT + 10 - new Set(numbers).size)
    expect(spool.setAside.length).toBeGreaterThan(0)
    spool.append(alertNumbers(5000, 3))
    expect(drain(spool)).toEqual([5000, 5001, 5002])
  })

  it('F07: ends a replacement of the database that a crash interrupted, at every step', () => {
    const { folder, database } = closedSpool()
    const complete = join(folder, 'spool.complete')
    renameSync(database, complete)
    expect(deliver(folder).numbers).toEqual(range(0, COUNT))
    const again = closedSpool()
    copyFileSync(again.database, join(again.folder, 'spool.complete'))
    overwrite(again.database, 0, Buffer.alloc(PAGE))
    const { numbers, recovery } = deliver(again.folder)
    expect(numbers).toEqual(range(0, COUNT))
    expect(recovery.setAside).toHaveLength(1)
    const unfinished = closedSpool()
    writeFileSync(join(unfinished.folder, 'spool.building'), 'half of a database')
    overwrite(unfinished.database, 0, Buffer.alloc(PAGE))
    expect(deliver(unfinished.folder).numbers).toEqual(range(0, COUNT))
  })
})
