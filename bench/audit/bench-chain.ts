import { randomBytes, randomUUID } from 'node:crypto'
import { LINK_HASH_VERSION, linkHash } from '../../src/audit/link-hash.ts'
import { GENESIS_HASH, RawJson } from '../../src/index.ts'

/** Enough different payloads that nothing can gain from seeing the same bytes again. */
const PAYLOAD_COUNT = 256

const PAYLOADS = Array.from({ length: PAYLOAD_COUNT }, (_, index) => makePayload(index))

/** What a dashboard records: who did what to which host, and what was there before. */
function makePayload(index: number): RawJson {
  return RawJson.from({
    action: index % 2 === 0 ? 'isolate-host' : 'rule-changed',
    actor: {
      name: `operator-${index}`,
      address: `10.0.${index % 16}.${index}`,
      roles: ['analyst', 'responder'],
    },
    reason: `Alert ${index}: “unexpected outbound connection” from a shell`,
    before: { status: 'ONLINE', threshold: 0.25 + index, labels: ['web', 'eu-central'] },
    after: { status: 'ISOLATED', threshold: null, labels: [] },
    request: randomBytes(16).toString('hex'),
  })
}

export function payloadAt(index: number): RawJson {
  return PAYLOADS[index % PAYLOADS.length] ?? makePayload(index)
}

/** A row of the log with its hashes. */
export interface BenchEntry {
  readonly entryId: string
  readonly hostId: string
  readonly sequenceNum: number
  readonly eventHash: string
  readonly prevHash: string
  readonly payload: string
  readonly createdAt: string
}

/** The chain of a host, made in memory with the hash of the library, from its first entry on. */
export class BenchChain {
  readonly #hostId: string
  #sequenceNum = 0
  #eventHash = GENESIS_HASH

  constructor(hostId: string) {
    this.#hostId = hostId
  }

  next(millisecondsOfEpoch: number): BenchEntry {
    this.#sequenceNum++
    const fields = {
      hostId: this.#hostId,
      sequenceNum: this.#sequenceNum,
      entryId: randomUUID(),
      createdAt: new Date(millisecondsOfEpoch).toISOString().replace('Z', '000Z'),
      prevHash: this.#eventHash,
      payload: payloadAt(this.#sequenceNum).text,
    }
    this.#eventHash = linkHash({ ...fields, prevLink: fields.prevHash, givenEventHash: '' })
    return { ...fields, eventHash: this.#eventHash }
  }
}

/** In the order of `entryValues`. */
export const ENTRY_COLUMNS =
  'entry_id, host_id, sequence_num, event_hash, prev_hash, payload, created_at, row_hash, hash_version'

export function entryValues(entry: BenchEntry): (string | null)[] {
  return [
    entry.entryId,
    entry.hostId,
    String(entry.sequenceNum),
    entry.eventHash,
    entry.prevHash,
    entry.payload,
    entry.createdAt,
    null,
    String(LINK_HASH_VERSION),
  ]
}
