import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { InvalidInputError } from '../errors.ts'
import { importAlerts } from '../import/import-alerts.ts'
import type { ImportReport } from '../import/import-report.ts'
import { SENSOR_FORMATS, type SensorFormat } from '../sensors/sensor-adapter.ts'
import type { Store } from '../store.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { EXIT_CODE } from './exit-code.ts'
import { grouped, printable, writeJsonLines } from './output.ts'
import { ProgressLine } from './progress.ts'

interface IngestFlags extends DatabaseFlags {
  readonly format: SensorFormat
  readonly json?: boolean
}

const STANDARD_INPUT = '-'

export function ingestCommand(context: CommandContext): Command {
  return databaseCommand('ingest')
    .description('read alerts from a file or standard input, plain or gzip, one JSON object a line')
    .argument('[file]', 'the file, or - for standard input', STANDARD_INPUT)
    .addOption(new Option('--format <format>', 'what a line holds').choices(SENSOR_FORMATS).default('alert'))
    .option('--json', 'print the report as one JSON object')
    .addHelpText(
      'after',
      '\nReading the same input again stores nothing twice. Lines that cannot be stored are reported with their\nnumbers, do not stop the rest, and end the command with 1.',
    )
    .action(async (file: string, flags: IngestFlags) => {
      const source = await openSource(context, file)
      // A file may be read again at any time, so a look over the last days would not do.
      const options = { deduplicateAllMonths: true }
      const report = await withStore(
        context,
        flags,
        store => runImport(context, store, source, flags),
        options,
      )
      if (flags.json) writeJsonLines(context.stdout, [report])
      else printReport(context, report)
      if (report.unreadable + report.refused > 0) context.exitCode = EXIT_CODE.failed
    })
}

interface Source {
  readonly bytes: AsyncIterable<Uint8Array>
  /** Unknown for a pipe. */
  readonly sizeBytes: number | undefined
}

/** Reads all of the source, or as much as there was when the user asked to stop. */
async function runImport(
  context: CommandContext,
  store: Store,
  source: Source,
  { format }: IngestFlags,
): Promise<ImportReport> {
  const progress = new ProgressLine(context.stderr)
  let last: ImportReport | undefined
  const onProgress = (soFar: ImportReport, bytesRead: number) => {
    last = soFar
    progress.show(progressText(soFar, bytesRead, source.sizeBytes))
  }
  try {
    return await importAlerts(store, source.bytes, { format, signal: context.signal, onProgress })
  } catch (error) {
    const isDamaged = error instanceof InvalidInputError && error.field === 'source'
    if (last === undefined || !(context.signal.aborted || isDamaged)) throw error
    progress.clear()
    const reason = isDamaged ? `${printable(error.message)}\n` : ''
    context.stderr.write(
      `${reason}stopped before the end; reading the same input again stores nothing twice\n`,
    )
    context.exitCode = EXIT_CODE.failed
    return last
  } finally {
    progress.clear()
  }
}

/** Opens the file before a server is started for it. */
async function openSource(context: CommandContext, file: string): Promise<Source> {
  if (file === STANDARD_INPUT) return { bytes: context.stdin, sizeBytes: undefined }
  let sizeBytes: number
  try {
    const found = await stat(file)
    if (found.isDirectory()) throw new InvalidInputError('file', file, 'a file, not a folder')
    sizeBytes = found.size
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause
    throw new InvalidInputError('file', file, 'a file that can be read', { cause })
  }
  return { bytes: createReadStream(file, { signal: context.signal }), sizeBytes }
}

function progressText(report: ImportReport, bytesRead: number, sizeBytes: number | undefined): string {
  const share = sizeBytes ? `${Math.floor((100 * bytesRead) / sizeBytes)} %  ` : ''
  return `${share}${grouped(report.lines)} lines  ${grouped(report.stored)} stored  ${grouped(report.duplicates)} duplicates`
}

function printReport(context: CommandContext, report: ImportReport): void {
  const { stdout, stderr } = context
  const lines: readonly (readonly [string, number])[] = [
    ['lines read', report.lines],
    ['alerts stored', report.stored],
    ['alerts stored before', report.duplicates],
    ['lines skipped', report.skipped],
    ['lines unreadable', report.unreadable],
    ['alerts refused', report.refused],
    ['hosts registered', report.hosts],
  ]
  for (const [label, count] of lines) stdout.write(`${label.padEnd(22)}${grouped(count).padStart(12)}\n`)
  for (const [reason, count] of Object.entries(report.skippedByReason)) {
    stdout.write(`  skipped, ${printable(reason)}: ${grouped(count)}\n`)
  }
  for (const { lineNumber, message } of report.problems)
    stderr.write(`line ${lineNumber}: ${printable(message)}\n`)
  const more = report.unreadable + report.refused - report.problems.length
  if (more > 0) stderr.write(`and ${grouped(more)} more\n`)
}
