import type { Command } from 'commander'
import { TripwireStorageError } from '../../errors.ts'
import {
  AUDIT_FINDINGS,
  AUDIT_NOT_CHECKED,
  type AuditFindingKind,
  type AuditVerification,
} from '../../model/audit-verification.ts'
import { parseUuid } from '../../model/input.ts'
import type { Store } from '../../store.ts'
import type { CommandContext, TextOutput } from '../command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from '../database.ts'
import { EXIT_CODE, type ExitCode } from '../exit-code.ts'
import { findHostId } from '../find-host.ts'
import { grouped, printable, writeJsonLines, writeTable } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { reportError } from '../report-error.ts'

interface VerifyFlags extends DatabaseFlags {
  readonly host?: string
  readonly checkpoint?: string
  readonly key?: string
  readonly trust?: readonly string[]
  readonly json?: boolean
}

const HELP = `
Ends with 0 when all that was checked is intact, 3 when the log is damaged, and 4 when that cannot be told: no entry, no
or the wrong key, entries that nothing protects, a log that cannot be read. The output says what was not checked; without
a checkpoint that are cut tails, whole hosts, and chains that were written anew with all their hashes.`

export function verifyCommand(context: CommandContext): Command {
  return databaseCommand('verify')
    .description(
      'verify the hashes of all chains, and hold them against a signed checkpoint; changes nothing',
    )
    .option('--host <name-or-id>', 'the chain of one host only')
    .option('--checkpoint <file>', 'a checkpoint from outside of the database, with its heads beside it')
    .option('--key <file>', 'the public key that signed the checkpoint and the prunings')
    .option(
      '--trust <file...>',
      'further public keys that are trusted, such as the one of before a change of keys',
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', HELP)
    .action(async (flags: VerifyFlags) => {
      const progress = new ProgressLine(context.stderr)
      try {
        const verification = await withStore(context, flags, store => verify(context, flags, store, progress))
        progress.clear()
        if (flags.json) writeJsonLines(context.stdout, [verification])
        else writeReport(context.stdout, verification)
        context.exitCode = EXIT_CODES[verification.verdict]
      } catch (error) {
        progress.clear()
        context.exitCode = exitCodeAfter(error, context)
      }
    })
}

const EXIT_CODES = {
  intact: EXIT_CODE.done,
  damaged: EXIT_CODE.findings,
  'cannot-tell': EXIT_CODE.cannotTell,
} as const

async function verify(
  context: CommandContext,
  { host, checkpoint, key, trust }: VerifyFlags,
  store: Store,
  progress: ProgressLine,
): Promise<AuditVerification> {
  return store.verifyAuditChain({
    hostId: host === undefined ? undefined : await findChain(store, host),
    checkpoint,
    key,
    trustedKeys: trust,
    signal: context.signal,
    onProgress: ({ entries, hosts }) =>
      progress.show(`${grouped(entries)} entries of ${grouped(hosts)} hosts verified`),
  })
}

/** A host that was removed may still have a chain, or should have one. */
async function findChain(store: Store, nameOrId: string): Promise<string> {
  try {
    return parseUuid('--host', nameOrId)
  } catch {
    return findHostId(store, nameOrId)
  }
}

/** A log that could not be verified is not intact, whatever the reason. */
function exitCodeAfter(error: unknown, context: CommandContext): ExitCode {
  if (context.signal.aborted) {
    context.stderr.write('stopped; nothing can be told\n')
    return EXIT_CODE.cannotTell
  }
  const exitCode = reportError(error, context.stderr)
  return error instanceof TripwireStorageError && exitCode === EXIT_CODE.failed
    ? EXIT_CODE.cannotTell
    : exitCode
}

const VERDICTS = { intact: 'intact', damaged: 'DAMAGED', 'cannot-tell': 'cannot tell' } as const

function writeReport(output: TextOutput, verification: AuditVerification): void {
  const { verdict, checkpoint, table, readAt, entries, hosts, prunings } = verification
  output.write(`verdict     ${VERDICTS[verdict]}\n`)
  output.write(
    `read        ${table === null ? 'nothing' : `${printable(table)}, as it stood at ${readAt}`}\n`,
  )
  output.write(`entries     ${grouped(entries)} of ${grouped(hosts)} hosts\n`)
  const held = checkpoint
    ? `${printable(checkpoint.path)}, ${grouped(checkpoint.chains)} chains, signed by ${printable(checkpoint.origin)} at ${checkpoint.time}`
    : 'none was used'
  output.write(`checkpoint  ${held}\n`)
  if (prunings.chains > 0) {
    output.write(
      `prunings    ${grouped(prunings.chains)} chains; of ${grouped(prunings.verified)} the signed manifests are verified\n`,
    )
  }
  writeChecked(output, verification)
  writeFindings(output, verification)
}

function writeChecked(output: TextOutput, { checked, notChecked }: AuditVerification): void {
  const { recomputed, rowProtected, unprotected, unconfirmed } = checked
  output.write('\nchecked\n')
  const lines: readonly (readonly [number, string])[] = [
    [recomputed, 'every column, by the hash of the entry: it was recomputed, and links to the entry before'],
    [
      rowProtected,
      "every column, by a hash over the row; the event hash is the writer's own and was not recomputed",
    ],
    [unprotected, 'number and previous hash only: version 0, not protected'],
    [unconfirmed, 'damaged, or not to be checked because of damage'],
  ]
  const width = Math.max(...lines.map(([count]) => grouped(count).length))
  for (const [count, what] of lines) {
    if (count > 0) output.write(`  ${grouped(count).padStart(width)}  ${what}\n`)
  }
  if (lines.every(([count]) => count === 0)) output.write('  nothing\n')
  output.write('\nnot checked\n')
  for (const name of notChecked) output.write(`  ${AUDIT_NOT_CHECKED[name]}\n`)
}

function writeFindings(output: TextOutput, verification: AuditVerification): void {
  const { findings, findingCount, findingsByKind } = verification
  if (findingCount === 0) {
    output.write('\nno findings\n')
    return
  }
  const shown = findings.length < findingCount ? `, the first ${grouped(findings.length)}` : ''
  output.write(`\nfindings    ${grouped(findingCount)}${shown}\n`)
  writeTable(output, findings, [
    { title: 'KIND', value: finding => finding.kind },
    { title: 'HOST', value: finding => finding.hostId },
    { title: 'ENTRY', value: finding => finding.sequenceNum },
    { title: 'EXPECTED', value: finding => finding.expected },
    { title: 'FOUND', value: finding => finding.found },
  ])
  output.write('\n')
  for (const kind of kindsOf(findingsByKind)) {
    output.write(`${kind} (${grouped(findingsByKind[kind] ?? 0)}): ${AUDIT_FINDINGS[kind].meaning}\n`)
  }
}

function kindsOf(byKind: AuditVerification['findingsByKind']): readonly AuditFindingKind[] {
  return Object.keys(AUDIT_FINDINGS).filter((kind): kind is AuditFindingKind => kind in byKind)
}
