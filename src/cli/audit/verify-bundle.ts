import { Command } from 'commander'
import { verifyAuditEvidence } from '../../audit/evidence/verify-evidence.ts'
import type { AuditEvidenceVerification } from '../../model/audit-evidence.ts'
import type { CommandContext } from '../command-context.ts'
import { EXIT_CODE } from '../exit-code.ts'
import { grouped, printable, writeJsonLines } from '../output.ts'

interface VerifyBundleFlags {
  readonly key?: string
  readonly json?: boolean
}

const EXIT_CODES = {
  intact: EXIT_CODE.done,
  damaged: EXIT_CODE.findings,
  'cannot-tell': EXIT_CODE.cannotTell,
}

export function verifyBundleCommand(context: CommandContext): Command {
  return new Command('verify-bundle')
    .description('verify evidence by itself: no database, no network')
    .argument('<file>', 'the bundle')
    .option('--key <file>', 'the public key that signed its checkpoint; without it nothing can be told')
    .option('--json', 'the result as one JSON object')
    .action(async (bundle: string, { key, json }: VerifyBundleFlags) => {
      const verified = await verifyAuditEvidence({ bundle, key })
      context.exitCode = EXIT_CODES[verified.verdict]
      if (json) writeJsonLines(context.stdout, [verified])
      else report(context, verified)
    })
}

function report(context: CommandContext, verified: AuditEvidenceVerification): void {
  const { stdout } = context
  const { verdict, hostId, hostname, entries, firstSequence, lastSequence, checkpoint } = verified
  stdout.write(`${verdict}\n\n`)
  for (const { kind, sequenceNum, expected, found } of verified.findings) {
    const place = sequenceNum === null ? '' : ` at entry ${sequenceNum}`
    stdout.write(`${kind}${place}: expected ${printable(expected)}, found ${printable(found)}\n`)
  }
  if (hostId !== null)
    stdout.write(`host       ${hostId} (${printable(hostname ?? 'unknown')}, which is not proven)\n`)
  stdout.write(`entries    ${firstSequence ?? '-'} to ${lastSequence ?? '-'} (${grouped(entries)} read)\n`)
  if (verified.rowProtected > 0) {
    stdout.write(
      `           of ${grouped(verified.rowProtected)} the row is proven, but not the event hash: it follows a scheme of its writer\n`,
    )
  }
  if (verified.unprotected > 0) {
    stdout.write(
      `           of ${grouped(verified.unprotected)} nothing is proven but the place: they were not protected when they were written\n`,
    )
  }
  if (checkpoint) stdout.write(`signed by  ${printable(checkpoint.origin)} at ${checkpoint.time}\n`)
}
