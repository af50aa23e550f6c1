import { parseTimestamp } from '../../model/timestamp.ts'

/** What a pruning signs: docs/audit-chain.md, "The pruning manifest". */
export interface PruningManifest {
  readonly hostId: string
  /** The numbers of the first and the last entry that went. */
  readonly first: string
  readonly through: string
  /** Of the last one that went: with these the chain goes on. */
  readonly eventHash: string
  readonly linkHash: string
  /** Of the bundle that holds the entries. */
  readonly bundleSha256: string
  /** The number and the link hash of the entry that records the pruning in the same chain. */
  readonly recordedAs: string
  readonly recordLinkHash: string
  /** When it was signed, by the clock of whoever signed. */
  readonly time: string
}

const FIRST_LINE = 'tripwire-storage/audit-pruning/v1'
const NUMBER = '[1-9]\\d{0,18}'
const HASH = '[0-9a-f]{64}'
const MANIFEST = new RegExp(
  [
    `^${FIRST_LINE}`,
    'host ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})',
    `first (${NUMBER})`,
    `through (${NUMBER})`,
    `event hash (${HASH})`,
    `link hash (${HASH})`,
    `bundle sha256 (${HASH})`,
    `recorded as (${NUMBER})`,
    `record link hash (${HASH})`,
    'time (\\S+)\n$',
  ].join('\\n'),
)

/** The text of the note. */
export function manifestText(manifest: PruningManifest): string {
  const { hostId, first, through, eventHash, linkHash, bundleSha256, recordedAs, recordLinkHash, time } =
    manifest
  return [
    FIRST_LINE,
    `host ${hostId}`,
    `first ${first}`,
    `through ${through}`,
    `event hash ${eventHash}`,
    `link hash ${linkHash}`,
    `bundle sha256 ${bundleSha256}`,
    `recorded as ${recordedAs}`,
    `record link hash ${recordLinkHash}`,
    `time ${time}`,
    '',
  ].join('\n')
}

/** The manifest with this text; `undefined` for any other text. */
export function parseManifestText(text: string): PruningManifest | undefined {
  const [
    matched,
    hostId = '',
    first = '',
    through = '',
    eventHash = '',
    linkHash = '',
    bundleSha256 = '',
    recordedAs = '',
    recordLinkHash = '',
    time = '',
  ] = MANIFEST.exec(text) ?? []
  if (matched === undefined || !isTimestamp(time)) return undefined
  if (BigInt(first) > BigInt(through) || BigInt(through) >= BigInt(recordedAs)) return undefined
  return { hostId, first, through, eventHash, linkHash, bundleSha256, recordedAs, recordLinkHash, time }
}

function isTimestamp(text: string): boolean {
  try {
    return parseTimestamp('time', text) === text
  } catch {
    return false
  }
}
