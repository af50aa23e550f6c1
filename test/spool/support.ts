/** Folders, alerts, and the reading of a whole spool, for the tests of the spool. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { TripwireStorageError } from '../../src/errors.ts'
import { RawJson } from '../../src/model/raw-json.ts'
import { Spool } from '../../src/spool/spool.ts'
import type { SpooledAlert } from '../../src/spool/spooled-alert.ts'

/** A path in a folder that is removed when the test ends. Nothing is there yet. */
export function spoolFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'tripwire-spool-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'spool')
}

/** Closed when the test ends, before its folder is removed. */
export function openSpool(folder: string, maxBytes?: number): Spool {
  const spool = Spool.open({ folder, maxBytes })
  onTestFinished(() => spool.close())
  return spool
}

/** An alert that carries its number in its rule name, about `bytes` large. */
export function alertNumber(number: number, bytes = 300): SpooledAlert {
  return {
    alertId: randomUUID(),
    hostId: '5f0c2f43-8a55-4a7f-9d4c-0a3a2b1c0d9e',
    timestamp: '2026-02-03T04:05:06.123456Z',
    tripwireType: 'PROCESS',
    ruleName: `rule ${number}`,
    eventDetail: RawJson.fromText(`{"pad":"${'x'.repeat(Math.max(0, bytes - 80))}"}`),
    severity: 'WARN',
    receivedAt: '2026-02-03T04:05:07.000001Z',
  }
}

export function alertNumbers(first: number, count: number, bytes?: number): SpooledAlert[] {
  return Array.from({ length: count }, (_, index) => alertNumber(first + index, bytes))
}

/** The numbers of all alerts, as the spool gives them; everything is removed. */
export function drain(spool: Spool): number[] {
  const numbers: number[] = []
  for (;;) {
    const { entries } = spool.readOldest(500, 1_000_000)
    if (entries.length === 0) return numbers
    numbers.push(...entries.map(({ alert }) => Number(alert.ruleName.slice(5))))
    spool.remove(entries.map(({ sequence }) => sequence))
  }
}

export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}

/** Overwrites bytes of a file where they stand. */
export function overwrite(path: string, offset: number, bytes: Buffer): void {
  const content = readFileSync(path)
  bytes.copy(content, offset)
  writeFileSync(path, content)
}

export function errorOf(call: () => unknown): TripwireStorageError {
  try {
    call()
  } catch (error) {
    if (error instanceof TripwireStorageError) return error
    throw error
  }
  throw new Error('the call was expected to throw')
}
