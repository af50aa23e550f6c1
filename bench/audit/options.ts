import { parseArgs } from 'node:util'
import { parseCount } from '../support/count-flag.ts'
import { UsageError } from '../support/usage-error.ts'

const PARTS = ['append', 'verify', 'checkpoint', 'evidence'] as const
export type Part = (typeof PARTS)[number]

const LAYOUTS = ['as-written', 'by-host'] as const
/** In which order the entries lie on the disk: as hosts in turn have written them, or host by host. */
export type Layout = (typeof LAYOUTS)[number]

export const AUDIT_USAGE = `npm run bench -- audit [options]

How fast the audit log is appended to, verified, signed and exported, beside a plain INSERT and the ceiling.
TRIPWIRE_BENCH_DATABASE_URL names a server to use instead of an embedded one; its account must be allowed to create
databases.

  --entries <n>           entries of the log that is verified (1000000), of 200 hosts
  --layout <name>         how they lie on the disk: as-written, by hosts in turn (default), or by-host
  --append-entries <n>    entries of a measurement of appends (40000); lists of 1 and of 100 append a share of it
  --evidence-entries <n>  entries of a bundle (100000)
  --rounds <n>            interleaved rounds of append and of verify (3)
  --part <name>           only this part, may be repeated:
                            append      lists of 1, 100 and 1,000 entries, 1 and 200 hosts, 1 and 8 writers
                            verify      verifyAuditChain, beside reading the same rows, with memory
                            checkpoint  createAuditCheckpoint, the first one and later ones
                            evidence    exportAuditEvidence and verifyAuditEvidence
  --json                  print JSON instead of tables`

export interface AuditOptions {
  readonly entries: number
  readonly layout: Layout
  readonly appendEntries: number
  readonly evidenceEntries: number
  readonly rounds: number
  readonly parts: ReadonlySet<Part>
  readonly json: boolean
}

/** @throws UsageError */
export function parseAuditOptions(args: readonly string[]): AuditOptions {
  const flags = parseFlags(args)
  const { entries, layout, rounds, part, json } = flags
  return {
    // Less is read before a process is warm, and each host needs some.
    entries: parseCount('--entries', entries, 10_000),
    layout: parseName('--layout', LAYOUTS, layout),
    // A list of 1,000 for each of 8 writers.
    appendEntries: parseCount('--append-entries', flags['append-entries'], 8000),
    evidenceEntries: parseCount('--evidence-entries', flags['evidence-entries'], 1),
    rounds: parseCount('--rounds', rounds, 1),
    parts: new Set(part.length === 0 ? PARTS : part.map(text => parseName('--part', PARTS, text))),
    json,
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        entries: { type: 'string', default: '1000000' },
        layout: { type: 'string', default: 'as-written' },
        'append-entries': { type: 'string', default: '40000' },
        'evidence-entries': { type: 'string', default: '100000' },
        rounds: { type: 'string', default: '3' },
        part: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function parseName<Name extends string>(flag: string, names: readonly Name[], text: string): Name {
  const name = names.find(each => each === text)
  if (!name) throw new UsageError(`${flag} needs one of ${names.join(', ')}, not ${text}`)
  return name
}
