import type { Forwarder } from '../server/forwarder.ts'
import type { Fault } from './fault.ts'

export function networkFaults(forwarder: Forwarder): readonly [Fault, ...Fault[]] {
  return [
    { name: 'cut', strike: async () => forwarder.cutAll() },
    { name: 'stall', strike: random => forwarder.stall(random.int(100, 1400)) },
    { name: 'refusal', strike: random => forwarder.refuse(random.int(50, 1200)) },
    { name: 'loss of all connections', strike: async () => forwarder.loseAll() },
  ]
}
