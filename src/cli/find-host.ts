import { InvalidInputError } from '../errors.ts'
import { nearestName } from '../model/nearest-name.ts'
import type { Store } from '../store.ts'

/** The id of the host that a flag names by its id or its hostname. */
export async function findHostId(store: Store, nameOrId: string): Promise<string> {
  const hosts = await store.listHosts()
  const found = hosts.find(host => host.hostname === nameOrId || host.hostId === nameOrId.toLowerCase())
  if (found) return found.hostId
  const nearest = nearestName(
    nameOrId,
    hosts.map(host => host.hostname),
  )
  throw new InvalidInputError('--host', nameOrId, 'the name or the id of a registered host', {
    hint: nearest ? `did you mean ${nearest}?` : 'list them with: tripwire-storage hosts',
  })
}
