import type { AlertCounts, Store } from '../../src/index.ts'

const INTERVAL_MS = 5

const NAMES = ['accepted', 'stored', 'duplicate', 'deadLettered', 'spooled', 'inFlight', 'rejected'] as const

/** Looks at the counts of a store, every few milliseconds and at each of its events, and tells of the first that is wrong. */
export function watchCounts(store: Store, reportViolation: (text: string) => void): Disposable {
  let isReported = false
  const look = () => {
    const problem = problemOf(store.stats())
    if (problem === undefined || isReported) return
    isReported = true
    reportViolation(problem)
  }
  store.on('databaseAway', look)
  store.on('databaseBack', look)
  store.on('flushFailed', look)
  store.on('alertsDeadLettered', look)
  store.on('connectionLost', look)
  const timer = setInterval(look, INTERVAL_MS)
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer)
      look()
    },
  }
}

/** accepted = stored + duplicate + deadLettered + spooled + inFlight, and nothing below zero. */
export function problemOf(counts: AlertCounts): string | undefined {
  const { accepted, stored, duplicate, deadLettered, spooled, inFlight } = counts
  if (accepted !== stored + duplicate + deadLettered + spooled + inFlight) {
    return `the counts do not add up: ${describeCounts(counts)}`
  }
  const negative = NAMES.find(name => counts[name] < 0)
  return negative && `${negative} is below zero: ${describeCounts(counts)}`
}

export function describeCounts(counts: AlertCounts): string {
  return NAMES.map(name => `${name} ${counts[name]}`).join(', ')
}
