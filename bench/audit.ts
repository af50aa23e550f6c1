import { formatAppend, measureAppend } from './audit/append.ts'
import { addHosts, fillLog, LOG_HOSTS, measureEntries } from './audit/fill-log.ts'
import { type AuditOptions, parseAuditOptions } from './audit/options.ts'
import { formatSigning, measureCheckpoint, measureEvidence, prepareSigning } from './audit/signing.ts'
import { formatVerify, measureVerify } from './audit/verify.ts'
import { BenchDatabase } from './support/bench-database.ts'
import { type BenchServer, openBenchServer } from './support/bench-server.ts'
import { describeServer, formatServer } from './support/environment.ts'
import { type Output, openOutput } from './support/output.ts'
import { grouped } from './support/table.ts'

type Results = Record<string, object>

/** How fast the audit log is appended to, verified, signed and exported. */
export async function runAuditBench(args: readonly string[]): Promise<void> {
  const options = parseAuditOptions(args)
  const output = openOutput(options.json)
  await using server = await openBenchServer()
  const results: Results = {}
  await runParts(server, options, output, results)
  output.json(results)
}

async function runParts(
  server: BenchServer,
  options: AuditOptions,
  output: Output,
  results: Results,
): Promise<void> {
  const { parts, rounds, entries } = options
  if (parts.has('append')) {
    await using database = await BenchDatabase.create(server)
    await describe(server, database, output, results)
    const append = await measureAppend(database, options, output)
    output.print(`${formatAppend(append, rounds)}\n`)
    results['append'] = append
  }
  if (!['verify', 'checkpoint', 'evidence'].some(part => [...parts].some(each => each === part))) return
  await using database = await BenchDatabase.create(server)
  await describe(server, database, output, results)
  const hostIds = await addHosts(database.client, LOG_HOSTS)
  const startedAt = performance.now()
  await fillLog(database.client, hostIds, entries, options.layout)
  await database.checkpoint()
  const size = await measureEntries(database.client)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  output.progress(`${grouped(entries)} entries of ${LOG_HOSTS} hosts were filled in within ${seconds} s`)
  output.print(`an entry: ${grouped(size.payload)} bytes of JSON, ${grouped(size.stored)} bytes as a row\n`)
  results['entrySize'] = size
  if (parts.has('verify')) {
    const verify = await measureVerify(database, options, output)
    output.print(`${formatVerify(verify, options)}\n`)
    results['verify'] = verify
  }
  const signing = await prepareSigning(server.folder)
  const figures = [
    ...(parts.has('checkpoint') ? await measureCheckpoint(database, hostIds, signing) : []),
    ...(parts.has('evidence') ? await measureEvidence(database, options.evidenceEntries, signing) : []),
  ]
  if (figures.length === 0) return
  output.print(formatSigning(figures, LOG_HOSTS))
  results['signing'] = figures
}

async function describe(
  server: BenchServer,
  { client }: BenchDatabase,
  output: Output,
  results: Results,
): Promise<void> {
  if (results['environment']) return
  const environment = await describeServer(server, client)
  output.print(`${formatServer(environment)}\n`)
  results['environment'] = environment
}
