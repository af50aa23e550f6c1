import type { Command } from 'commander'
import { AuditDamagedError } from '../../audit/checkpoint/audit-damaged-error.ts'
import { InvalidInputError } from '../../errors.ts'
import type { AuditCheckpoint } from '../../model/audit-checkpoint.ts'
import { AUDIT_FINDINGS } from '../../model/audit-verification.ts'
import type { CommandContext } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { EXIT_CODE } from '../exit-code.ts'
import { grouped, printable, writeJsonLines, writeTable } from '../output.ts'
import { ProgressLine } from '../progress.ts'

interface CheckpointFlags extends DatabaseFlags {
  readonly key: string
  readonly trust?: readonly string[]
  readonly previous?: string
  readonly out?: string
  readonly folder?: string
  readonly json?: boolean
}

const HELP = `
Ends with 0 when the checkpoint is signed. Nothing is signed and it ends with 3 when the log is damaged, with 4 when that cannot be
told, such as over a pruning that no trusted key has signed, and with 1 when a key, a file or the database cannot be used.`

export function checkpointCommand(context: CommandContext): Command {
  return databaseCommand('checkpoint')
    .description('verify what is new, and sign the heads of all chains; over damage nothing is signed')
    .requiredOption('--key <file>', 'the private key, from: audit keygen')
    .option(
      '--previous <file>',
      'an earlier checkpoint; what came after it is new, and its heads must be found again',
    )
    .option(
      '--trust <file...>',
      'public keys of before, which may have signed earlier checkpoints and prunings',
    )
    .option('--out <file>', 'where the checkpoint goes, such as now.checkpoint; its heads go beside it')
    .option('--folder <folder>', 'where all checkpoints are kept; the newest in it stands in for --previous')
    .option('--json', 'one JSON object')
    .addHelpText('after', HELP)
    .action(async (flags: CheckpointFlags) => {
      if (flags.out === undefined && flags.folder === undefined) {
        throw new InvalidInputError('--out', undefined, 'a path, or a folder with --folder')
      }
      const progress = new ProgressLine(context.stderr)
      try {
        const checkpoint = await withStore(context, flags, store =>
          store.createAuditCheckpoint({
            key: flags.key,
            trustedKeys: flags.trust,
            previous: flags.previous,
            out: flags.out,
            folder: flags.folder,
            signal: context.signal,
            onProgress: ({ entries }) => progress.show(`${grouped(entries)} entries verified`),
          }),
        )
        progress.clear()
        report(context, flags, checkpoint)
      } catch (error) {
        progress.clear()
        if (error instanceof AuditDamagedError) reportDamage(context, flags, error)
        else if (context.signal.aborted) reportStopped(context)
        else throw error
      }
    })
}

function report(context: CommandContext, flags: CheckpointFlags, checkpoint: AuditCheckpoint): void {
  const { note: _, heads: __, ...told } = checkpoint
  if (flags.json) {
    writeJsonLines(context.stdout, [told])
    return
  }
  const { chains, entries, verifiedEntries, unprotectedEntries, time, files } = checkpoint
  const unprotected = unprotectedEntries === 0 ? '' : `, ${grouped(unprotectedEntries)} of them not protected`
  context.stdout.write(
    `signed at ${time}: ${grouped(chains)} chains of ${grouped(entries)} entries; ` +
      `${grouped(verifiedEntries)} were verified now${unprotected}\n${files.join('\n')}\n`,
  )
}

function reportDamage(
  context: CommandContext,
  flags: CheckpointFlags,
  { code, message, hint, findings, findingCount }: AuditDamagedError,
): void {
  const isDamaged = findings.some(({ kind }) => AUDIT_FINDINGS[kind].verdict === 'damaged')
  context.exitCode = isDamaged ? EXIT_CODE.findings : EXIT_CODE.cannotTell
  if (flags.json) {
    writeJsonLines(context.stdout, [{ code, findingCount, findings }])
    return
  }
  context.stderr.write(`error: ${printable(message)} [${code}]\nhint: ${hint}\n\n`)
  writeTable(context.stderr, findings, [
    { title: 'KIND', value: finding => finding.kind },
    { title: 'HOST', value: finding => finding.hostId },
    { title: 'ENTRY', value: finding => finding.sequenceNum },
    { title: 'EXPECTED', value: finding => finding.expected },
    { title: 'FOUND', value: finding => finding.found },
  ])
}

function reportStopped(context: CommandContext): void {
  context.exitCode = EXIT_CODE.failed
  context.stderr.write('stopped; nothing was signed\n')
}
