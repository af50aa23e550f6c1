/** Packs the package, installs it into an empty project and uses it there as a stranger would. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findContentProblems, listPackageFiles } from './support/installed-package.ts'
import { type CheckResult, PROJECT_DIR, readProjectFile, runCheck } from './support/project.ts'
import { run, runOrThrow, TSC } from './support/run-program.ts'

const CONSUMER = `import { type Alert, isRetryable, migrateUp, RawJson, Store, type StoreOptions } from 'tripwire-storage'
import { type EmbeddedPostgres, startEmbeddedPostgres } from 'tripwire-storage/embedded'

const server: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir: 'consumer-data' })
try {
  const options: StoreOptions = { connectionString: server.connectionString, batchSize: 10 }
  await migrateUp(options.connectionString === '' ? { connectionString: '' } : { connectionString: server.connectionString })
  const store: Store = await Store.open(options)
  const hostId: string = await store.upsertHost({ hostname: 'consumer', status: 'ONLINE' })
  await store.batchInsertAlerts({
    hostId,
    timestamp: new Date(),
    tripwireType: 'FILE',
    ruleName: 'consumer',
    severity: 'WARN',
    eventDetail: RawJson.fromText('{"size": 12345678901234567890}'),
  })
  await store.flush()
  const from = new Date(Date.now() - 3_600_000)
  const { alerts } = await store.queryAlerts({ hostId, from, to: new Date(Date.now() + 60_000) })
  const [alert]: readonly (Alert | undefined)[] = alerts
  if (!alert?.eventDetail?.text.includes('12345678901234567890')) throw new Error('the alert did not come back')
  // @ts-expect-error A misspelt severity is a type error, so the types are there and are not \`any\`.
  const wrong = { hostId, timestamp: from, tripwireType: 'FILE', ruleName: 'r', severity: 'HIGH' } satisfies Parameters<Store['batchInsertAlerts']>[0]
  const refused: unknown = await store.batchInsertAlerts(wrong as never).catch((error: unknown) => error)
  if (isRetryable(refused)) throw new Error('a bad alert is not worth another try')
  await store.close()
} finally {
  await server.stop()
}
`

await runCheck('package', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tripwire-package-'))
  try {
    return await checkPackage(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

async function checkPackage(folder: string): Promise<CheckResult> {
  await runOrThrow('npm', ['pack', '--pack-destination', folder])
  const [archive] = readdirSync(folder).filter(name => name.endsWith('.tgz'))
  if (archive === undefined) throw new Error('npm pack made no archive')
  const project = join(folder, 'empty-project')
  mkdirSync(project)
  await runOrThrow('npm', ['init', '-y'], { cwd: project })
  await runOrThrow('npm', ['install', '--no-audit', '--no-fund', join(folder, archive)], { cwd: project })
  const packageDir = join(project, 'node_modules', 'tripwire-storage')
  const files = listPackageFiles(packageDir)
  const packedKilobytes = (statSync(join(folder, archive)).size / 1000).toFixed(0)
  const bytes = files.reduce((sum, name) => sum + statSync(join(packageDir, name)).size, 0)
  return {
    summary: `${files.length} files, ${(bytes / 1000).toFixed(0)} kB (${packedKilobytes} kB packed); installs, fits its types and runs in an empty project`,
    problems: [
      ...findContentProblems(packageDir, files),
      ...(await findUseProblems(project)),
      ...(await findCommandProblems(project)),
    ],
  }
}

/** The types as a strict project sees them, then the same program run. */
async function findUseProblems(project: string): Promise<readonly string[]> {
  writeFileSync(join(project, 'consumer.mts'), CONSUMER)
  const compilerOptions = {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The declarations of the package are checked, too.
    skipLibCheck: false,
    typeRoots: [join(PROJECT_DIR, 'node_modules', '@types')],
    types: ['node'],
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.mts'] }))
  const compiled = await run(process.execPath, [TSC, '-p', project, '--pretty', 'false'], { cwd: project })
  if (compiled.status !== 0) return [`the types do not fit a strict project:\n${compiled.output.trimEnd()}`]
  const executed = await run(process.execPath, ['consumer.mjs'], { cwd: project })
  return executed.status === 0
    ? []
    : [`a program that uses the package failed:\n${executed.output.trimEnd()}`]
}

async function findCommandProblems(project: string): Promise<readonly string[]> {
  const manifest: { version: string } = JSON.parse(readProjectFile('package.json'))
  const newest = readdirSync(join(PROJECT_DIR, 'db', 'migrations')).filter(name =>
    name.endsWith('.up.sql'),
  ).length
  const expectations: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [['--version'], new RegExp(`^${manifest.version.replaceAll('.', '\\.')}$`, 'm')],
    [['--help'], /^Usage: tripwire-storage/m],
    [['migrate', 'up'], new RegExp(`^applied ${newest} `, 'm')],
    [['migrate', 'status', '--json'], new RegExp(`"version": ?${newest}\\b`)],
  ]
  const problems: string[] = []
  for (const [args, expected] of expectations) {
    const { status, stdout, output } = await run('npx', ['--no-install', 'tripwire-storage', ...args], {
      cwd: project,
      env: { TRIPWIRE_DATABASE_URL: undefined },
    })
    if (status === 0 && expected.test(stdout)) continue
    problems.push(
      `tripwire-storage ${args.join(' ')} ended with ${status}; expected 0 and ${expected}:\n${output.trimEnd()}`,
    )
  }
  return problems
}
