import { describe, expect, it } from 'vitest'
import { OccurrenceCounter } from '../../src/import/occurrence-counter.ts'
import { derivedAlertId } from '../../src/sensors/derived-alert-id.ts'

describe('equal events of one input', () => {
  it('get different ids, the first one the id of its content', () => {
    const counter = new OccurrenceCounter()
    const ids = ['a', 'b', 'a', 'a', 'b'].map(id => counter.idOfNext(id))
    expect(ids.slice(0, 2)).toEqual(['a', 'b'])
    expect(new Set(ids).size).toBe(5)
  })

  it('get the same ids when the input is read again', () => {
    const read = () => {
      const counter = new OccurrenceCounter()
      return ['a', 'b', 'a', 'c', 'a', 'b'].map(id => counter.idOfNext(id))
    }
    expect(read()).toEqual(read())
  })

  it('are remembered in bounded memory: an event that comes again after many others counts as delivered twice', () => {
    const counter = new OccurrenceCounter()
    const first = derivedAlertId('test', ['first'])
    expect(counter.idOfNext(first)).toBe(first)
    for (let index = 0; index < 65_536; index++) counter.idOfNext(String(index))
    expect(counter.idOfNext(first)).toBe(first)
  })
})
