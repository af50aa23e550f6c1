/** What the run and a writer process say to each other. */
import type { AlertCounts } from '../../src/index.ts'

/** `settle`: send nothing new, have everything acknowledged and stored. `produce`: go on. `close`: close the store and end. */
export const COMMANDS = ['produce', 'settle', 'close'] as const
export type Command = (typeof COMMANDS)[number]

export type WriterMessage =
  /** The store is open. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'settled'; readonly counts: AlertCounts }
  | { readonly kind: 'closed'; readonly closeMs: number; readonly handedBack: number }
  | { readonly kind: 'violation'; readonly text: string }

export function isCommand(value: unknown): value is Command {
  return COMMANDS.some(command => command === value)
}

const KINDS: ReadonlySet<unknown> = new Set(['ready', 'settled', 'closed', 'violation'])

/** Both ends are this program, so the kind says the rest. */
export function isWriterMessage(value: unknown): value is WriterMessage {
  return typeof value === 'object' && value !== null && 'kind' in value && KINDS.has(value.kind)
}
