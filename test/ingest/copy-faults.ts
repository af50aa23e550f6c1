import type { FaultSpec } from '../support/wire-proxy.ts'

export interface CopyFault {
  readonly what: string
  readonly spec: FaultSpec
  /** Whether the batch is in the table after the connection has ended. */
  readonly isApplied: boolean
}

const COPY = /^COPY/

/** Every place at which the COPY of a batch can break, on a connection that was used before. */
export const COPY_FAULTS: readonly CopyFault[] = [
  {
    what: 'cut before the statement',
    spec: { when: { from: 'client', message: 'Query', text: COPY }, action: 'cut-before' },
    isApplied: false,
  },
  {
    what: 'cut before the data',
    spec: { when: { from: 'client', message: 'CopyData' }, action: 'cut-before' },
    isApplied: false,
  },
  {
    what: 'reset before the data',
    spec: { when: { from: 'client', message: 'CopyData' }, action: 'cut-before', clientSees: 'reset' },
    isApplied: false,
  },
  {
    what: 'cut before the end of the data',
    spec: { when: { from: 'client', message: 'CopyDone' }, action: 'cut-before' },
    isApplied: false,
  },
  {
    what: 'frozen before the statement',
    spec: { when: { from: 'client', message: 'Query', text: COPY }, action: 'freeze' },
    isApplied: false,
  },
  {
    what: 'cut at the first answer',
    spec: { when: { from: 'server', message: 'CopyInResponse' }, action: 'cut-before' },
    isApplied: true,
  },
  {
    what: 'cut with all of the answer',
    spec: { when: { from: 'client', message: 'CopyDone' }, action: 'cut-after' },
    isApplied: true,
  },
  {
    what: 'cut at the word of the commit',
    spec: { when: { from: 'server', message: 'CommandComplete', text: COPY }, action: 'cut-before' },
    isApplied: true,
  },
  {
    what: 'reset at the word of the commit',
    spec: {
      when: { from: 'server', message: 'CommandComplete', text: COPY },
      action: 'cut-before',
      clientSees: 'reset',
    },
    isApplied: true,
  },
  {
    what: 'cut at the last message of the answer',
    spec: { when: { from: 'server', message: 'ReadyForQuery' }, action: 'cut-before' },
    isApplied: true,
  },
  {
    what: 'cut at once after the end of the data',
    spec: { when: { from: 'client', message: 'CopyDone' }, action: 'cut-now' },
    isApplied: true,
  },
  {
    what: 'frozen at the word of the commit',
    spec: { when: { from: 'server', message: 'CommandComplete', text: COPY }, action: 'freeze' },
    isApplied: true,
  },
]
