import { describe, expect, it } from 'vitest'
import { SharedReads } from '../../../src/alerts/tail/shared-reads.ts'
import { rejection } from '../../store/fixtures.ts'

/** Reads that end when the test says so. */
function controlledReads() {
  const reads: {
    readonly signal: AbortSignal
    readonly end: (value: string) => void
    readonly fail: (error: unknown) => void
  }[] = []
  const read = (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    reads.push({ signal, end: resolve, fail: reject })
    return promise
  }
  return { reads, read }
}

const { signal: never } = new AbortController()

describe('a read that is shared', () => {
  it('is made once for those who ask for the same meanwhile, and anew for those who come later', async () => {
    const { reads, read } = controlledReads()
    const shared = new SharedReads<string>()
    const asking = [shared.run('a', never, read), shared.run('a', never, read), shared.run('b', never, read)]
    expect(reads).toHaveLength(2)
    reads[0]?.end('first')
    reads[1]?.end('other')
    expect(await Promise.all(asking)).toEqual(['first', 'first', 'other'])
    const later = shared.run('a', never, read)
    reads[2]?.end('second')
    expect(await later).toBe('second')
  })

  it('fails for all who share it, and not for those who come later', async () => {
    const { reads, read } = controlledReads()
    const shared = new SharedReads<string>()
    const failing = [rejection(shared.run('a', never, read)), rejection(shared.run('a', never, read))]
    const error = new Error('lost')
    reads[0]?.fail(error)
    expect(await Promise.all(failing)).toEqual([error, error])
    const later = shared.run('a', never, read)
    reads[1]?.end('good')
    expect(await later).toBe('good')
  })

  it('goes on while somebody waits for it, and is cancelled when nobody does', async () => {
    const { reads, read } = controlledReads()
    const shared = new SharedReads<string>()
    const [one, other] = [new AbortController(), new AbortController()]
    const failing = [
      rejection(shared.run('a', one.signal, read)),
      rejection(shared.run('a', other.signal, read)),
    ]
    one.abort(new Error('one'))
    expect(await failing[0]).toEqual(new Error('one'))
    expect(reads[0]?.signal.aborted).toBe(false)
    other.abort(new Error('other'))
    expect(await failing[1]).toEqual(new Error('other'))
    expect(reads[0]?.signal.aborted).toBe(true)
    // Nobody joins what was cancelled.
    const later = shared.run('a', never, read)
    reads[0]?.fail(new Error('cancelled'))
    reads[1]?.end('good')
    expect(await later).toBe('good')
  })
})
