import { lstat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { AlertStream } from '../../alerts/query/alert-stream.ts'
import { InvalidInputError } from '../../errors.ts'
import { systemCode, writeNewFile } from '../../files/new-file.ts'
import type { Alert, AlertSpanInput } from '../../model/alert.ts'
import type { CommandContext } from '../command-context.ts'
import { databaseCommand, withStore } from '../database.ts'
import { EXIT_CODE } from '../exit-code.ts'
import { grouped, jsonLine } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { CSV_HEADING, csvLine } from './alert-csv.ts'
import { alertJson } from './alert-json.ts'
import { addSpanFlags, continuation, findHostIds, parseSpanFlags, type SpanFlags } from './filter-flags.ts'

const FORMATS = ['ndjson', 'csv'] as const
type Format = (typeof FORMATS)[number]

/** For the owner alone: details may tell secrets of the machines. */
const FILE_MODE = 0o600
/** How much text is written at a time. */
const CHUNK_LENGTH = 65_536

interface ExportFlags extends SpanFlags {
  readonly newest?: boolean
  readonly format: Format
  readonly out?: string
}

export function exportCommand(context: CommandContext): Command {
  return addSpanFlags(databaseCommand('export'))
    .description('write any number of alerts, oldest first, to standard output or to a file')
    .option('--newest', 'newest first')
    .addOption(new Option('--format <format>', 'how').choices(FORMATS).default('ndjson'))
    .option('--out <file>', 'a new file, which appears when it is whole; nothing is written over')
    .addHelpText(
      'after',
      '\nNDJSON is what ingest reads, and holds every value as it is. CSV is for spreadsheets: text that begins like a\nformula (= + - @, tab) gets an apostrophe before it.',
    )
    .action(async (flags: ExportFlags) => {
      const query = parseSpanFlags(flags, flags.newest ? 'newest' : 'oldest')
      if (flags.out !== undefined) await refuseTaken(flags.out)
      await withStore(context, flags, async store => {
        const hostId = await findHostIds(store, flags)
        const alerts = store.streamAlerts({ ...query, hostId }, { signal: context.signal })
        await exportAlerts(context, flags, query, alerts)
      })
    })
}

async function exportAlerts(
  context: CommandContext,
  { out, format }: ExportFlags,
  query: Omit<AlertSpanInput, 'hostId'>,
  alerts: AlertStream,
): Promise<void> {
  const progress = new ProgressLine(context.stderr)
  let count = 0
  const chunks = chunksOf(alerts, format, query.cursor == null, written => {
    count = written
    progress.show(`${grouped(written)} alerts`)
  })
  try {
    if (out === undefined) await writeChunks(context, chunks)
    else await writeNewFile(out, chunks, FILE_MODE)
  } catch (error) {
    progress.clear()
    if (out !== undefined && systemCode(error) === 'EEXIST') throw taken(out)
    if (out === undefined && alerts.cursor !== null) {
      const goOn = continuation(query, alerts.cursor)
      context.stderr.write(`the output ends before the end; go on with: ${goOn}\n`)
    }
    if (!context.signal.aborted) throw error
    context.stderr.write(`stopped after ${grouped(count)} alerts\n`)
    context.exitCode = EXIT_CODE.failed
    return
  } finally {
    progress.clear()
    await alerts.return()
  }
  if (out !== undefined) context.stdout.write(`${out}  ${grouped(count)} alerts\n`)
}

/** Waits for the reader of standard output, and ends when it is gone. */
async function writeChunks({ stdout }: CommandContext, chunks: AsyncIterable<string>): Promise<void> {
  for await (const chunk of chunks) {
    stdout.write(chunk)
    if ((await stdout.whenRead?.()) === false) return
  }
}

async function* chunksOf(
  alerts: AsyncIterable<Alert>,
  format: Format,
  withHeading: boolean,
  onWritten: (count: number) => void,
): AsyncGenerator<string> {
  let count = 0
  let chunk = format === 'csv' && withHeading ? CSV_HEADING : ''
  const lineOf = format === 'csv' ? csvLine : (alert: Alert) => `${jsonLine(alertJson(alert))}\n`
  for await (const alert of alerts) {
    chunk += lineOf(alert)
    count++
    if (chunk.length < CHUNK_LENGTH) continue
    yield chunk
    chunk = ''
    onWritten(count)
  }
  if (chunk !== '') yield chunk
  onWritten(count)
}

/** Before anything is read; the name may be taken until the end, too. */
async function refuseTaken(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw new InvalidInputError('--out', path, 'a path that can be written', { cause: error })
  })
  if (found !== undefined) throw taken(path)
}

function taken(path: string): InvalidInputError {
  return new InvalidInputError('--out', path, 'a file that is not there yet')
}
