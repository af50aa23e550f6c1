import { InvalidInputError } from '../../errors.ts'
import { parseCallOptions } from '../../model/call-options.ts'
import { parseObject, parseOptional, parseText, parseUuid } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import { readCheckpoint, type SignedCheckpoint } from '../checkpoint/checkpoint-files.ts'
import type { Head } from '../checkpoint/head.ts'
import { readVerifier } from '../note/key-files.ts'

const LONGEST_PATH = 4096

/** The options of `exportAuditEvidence`, with what the files say that they name. */
export interface EvidenceRequest {
  readonly hostId: string
  readonly from: string | null
  readonly to: string | null
  readonly out: string
  readonly signal: AbortSignal | undefined
  readonly signed: SignedCheckpoint
  readonly head: Head
  /** The place of the head among the leaves. */
  readonly leafIndex: number
}

const NAMES = ['hostId', 'from', 'to', 'checkpoint', 'key', 'out', 'signal'] as const

/** @throws InvalidInputError, and what `readCheckpoint` throws. */
export async function readEvidenceRequest(options: unknown): Promise<EvidenceRequest> {
  const given = parseObject('options', options, NAMES)
  const hostId = parseUuid('options.hostId', given.hostId)
  const from = parseOptional(given.from, value => parseTimestamp('options.from', value))
  const to = parseOptional(given.to, value => parseTimestamp('options.to', value))
  if (from !== null && to !== null && to < from) {
    throw new InvalidInputError('options.to', given.to, `a moment not before options.from (${from})`)
  }
  const out = parseText('options.out', given.out, LONGEST_PATH)
  const { signal } = parseCallOptions('options', given)
  const verifier = await readVerifier('options.key', given.key)
  const signed = await readCheckpoint('options.checkpoint', given.checkpoint, [verifier])
  const leafIndex = signed.heads.findIndex(each => each.hostId === hostId)
  const head = signed.heads[leafIndex]
  if (head === undefined) {
    throw new InvalidInputError('options.hostId', hostId, `a host of the checkpoint ${signed.path}`, {
      hint: 'sign a new one with: tripwire-storage audit checkpoint',
    })
  }
  return { hostId, from, to, out, signal, signed, head, leafIndex }
}
