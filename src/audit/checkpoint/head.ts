/** The newest entry of a host's chain: docs/audit-chain.md, "The tree of all chains". */
export interface Head {
  readonly hostId: string
  readonly sequenceNum: bigint
  /** 64 lower-case hexadecimal digits. */
  readonly linkHash: string
}

const HEAD = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}) ([1-9]\d{0,18}) ([0-9a-f]{64})$/
/** PostgreSQL's `bigint`. */
const LARGEST_SEQUENCE = 2n ** 63n - 1n

/** What a line of heads may take at most, with its line end. */
export const LONGEST_HEAD_BYTES = 36 + 1 + 19 + 1 + 64 + 1

/** The leaf of a head, and its line among the heads of a checkpoint. */
export function headText({ hostId, sequenceNum, linkHash }: Head): string {
  return `${hostId} ${sequenceNum} ${linkHash}`
}

/** The head with this text; `undefined` for any other text. */
export function parseHead(text: string): Head | undefined {
  const [, hostId, digits, linkHash] = HEAD.exec(text) ?? []
  if (hostId === undefined || digits === undefined || linkHash === undefined) return undefined
  const sequenceNum = BigInt(digits)
  return sequenceNum > LARGEST_SEQUENCE ? undefined : { hostId, sequenceNum, linkHash }
}
