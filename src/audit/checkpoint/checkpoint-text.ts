import { parseTimestamp } from '../../model/timestamp.ts'
import { HASH_BYTES, merkleRoot } from '../merkle.ts'
import { parseBase64 } from '../note/base64.ts'
import { type Head, headText, parseHead } from './head.ts'

/** What a checkpoint signs: docs/audit-chain.md, "The checkpoint". */
export interface Checkpoint {
  /** The name of the key. */
  readonly origin: string
  /** How many chains there are: the number of leaves. */
  readonly size: number
  readonly root: Buffer
  /** When it was signed, by the clock of whoever signed. RFC 3339 in UTC with six digits. */
  readonly time: string
  /** How many entries all chains have had: the sum of the sequences of their heads. */
  readonly entries: bigint
}

/** The checkpoint over heads that stand in the order of their hosts. */
export function makeCheckpoint(origin: string, time: string, heads: readonly Head[]): Checkpoint {
  return { origin, size: heads.length, root: headsRoot(heads), time, entries: countEntries(heads) }
}

/** The text of the note. */
export function checkpointText({ origin, size, root, time, entries }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\ntime ${time}\nentries ${entries}\n`
}

const NUMBER = '(?:0|[1-9]\\d{0,15})'
const CHECKPOINT = new RegExp(
  `^([^\\n]+)\\n(${NUMBER})\\n([A-Za-z0-9+/=]+)\\ntime (\\S+)\\nentries (0|[1-9]\\d{0,34})\\n$`,
)

/** The checkpoint with this text; `undefined` for any other text. */
export function parseCheckpointText(text: string): Checkpoint | undefined {
  const [, origin = '', size = '', encodedRoot = '', time = '', entries = ''] = CHECKPOINT.exec(text) ?? []
  const root = parseBase64(encodedRoot)
  if (root?.length !== HASH_BYTES || !isTimestamp(time) || !Number.isSafeInteger(Number(size)))
    return undefined
  return { origin, size: Number(size), root, time, entries: BigInt(entries) }
}

function isTimestamp(text: string): boolean {
  try {
    return parseTimestamp('time', text) === text
  } catch {
    return false
  }
}

/** The heads as they stand beside the checkpoint: one a line. */
export function headsText(heads: readonly Head[]): string {
  return heads.map(head => `${headText(head)}\n`).join('')
}

/**
 * Reads the heads that stand beside a checkpoint, and compares them with what was signed.
 * @returns the heads, or what is wrong with them.
 */
export function parseHeads(text: string, signed: Checkpoint): readonly Head[] | string {
  const lines = text.split('\n')
  if (lines.pop() !== '') return 'the last line is cut'
  if (lines.length !== signed.size) return `expected ${signed.size} heads, found ${lines.length}`
  const heads: Head[] = []
  for (const [index, line] of lines.entries()) {
    const head = parseHead(line)
    if (head === undefined) return `line ${index + 1} is no head`
    const before = heads.at(-1)
    if (before !== undefined && before.hostId >= head.hostId)
      return `line ${index + 1} is not in the order of the hosts, or its host stands there twice`
    heads.push(head)
  }
  const root = headsRoot(heads)
  if (!root.equals(signed.root)) {
    return `expected heads with the root ${signed.root.toString('base64')}, found ${root.toString('base64')}`
  }
  const entries = countEntries(heads)
  return entries === signed.entries ? heads : `expected heads of ${signed.entries} entries, found ${entries}`
}

function headsRoot(heads: readonly Head[]): Buffer {
  return merkleRoot(leavesOf(heads))
}

/** The leaves of the tree, in its order. */
export function* leavesOf(heads: Iterable<Head>): Iterable<Buffer> {
  for (const head of heads) yield Buffer.from(headText(head))
}

function countEntries(heads: readonly Head[]): bigint {
  return heads.reduce((sum, head) => sum + head.sequenceNum, 0n)
}
