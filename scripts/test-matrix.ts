/**
 * Runs the tests on several major versions of PostgreSQL: all that are supported, or those given; all tests, or those of the
 * folders given; on the server itself, or with `--pgbouncer` through PgBouncer in transaction mode. Where that is not installed they run on
 * the server itself, and the table says so.
 * `npm run test:matrix -- 15 16`
 * `npm run test:matrix -- 16 test/store test/migrate`
 * `npm run test:matrix -- --pgbouncer 15 test/store`
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { POSTGRES_MAJORS, type PostgresMajor } from '../src/embedded/options.ts'
import { installHint } from '../src/embedded/platform-package.ts'
import { makeMissingLinks } from '../src/embedded/symlinks.ts'
import { pgbouncerMissing } from '../test/support/pgbouncer.ts'
import { PROJECT_DIR } from './support/project.ts'
import { runOrThrow } from './support/run-program.ts'
import { runTests } from './support/run-tests.ts'

/** Its own node_modules: these versions are no part of the default installation. */
const MATRIX_DIR = join(PROJECT_DIR, 'test', 'matrix')

const { majors, folders, wantsPgBouncer } = parseArguments(process.argv.slice(2))
const missing = wantsPgBouncer ? pgbouncerMissing() : undefined
const packageDirs = await installPostgres(majors)
const results = []
for (const [major, packageDir] of packageDirs) {
  const binDir = join(packageDir, 'native', 'bin')
  const version = (await runOrThrow(join(binDir, 'postgres'), ['--version'])).trim()
  console.log(`\n== PostgreSQL ${major}: ${version}`)
  if (missing !== undefined) console.warn(`WITHOUT PgBouncer, on the server itself: ${missing}`)
  const startedAt = performance.now()
  const status = runTests(folders, {
    TRIPWIRE_TEST_POSTGRES_BIN: binDir,
    TRIPWIRE_TEST_DATABASE_URL: undefined,
    TRIPWIRE_TEST_BACKEND: undefined,
    TRIPWIRE_TEST_POOLER: wantsPgBouncer && missing === undefined ? 'pgbouncer' : undefined,
  })
  results.push({ version, status, seconds: (performance.now() - startedAt) / 1000 })
}

console.log('\ntest matrix:')
for (const { version, status, seconds } of results) {
  const outcome = `${status === 0 ? 'passed' : 'FAILED'}${missing === undefined ? '' : `, without PgBouncer: ${missing}`}`
  console.log(`  ${version.padEnd(36)} ${seconds.toFixed(0).padStart(4)} s  ${outcome}`)
}
process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1

function parseArguments(args: readonly string[]): {
  readonly majors: readonly PostgresMajor[]
  readonly folders: readonly string[]
  readonly wantsPgBouncer: boolean
} {
  const given = POSTGRES_MAJORS.filter(major => args.includes(String(major)))
  const folders = args.filter(arg => arg !== '--pgbouncer' && !given.some(major => String(major) === arg))
  const unknown = folders.filter(
    folder => !folder.startsWith('test/') || !existsSync(join(PROJECT_DIR, folder)),
  )
  if (unknown.length > 0) {
    console.error(
      `test matrix: expected some of ${POSTGRES_MAJORS.join(', ')}, --pgbouncer and folders of test/, got ${unknown.join(', ')}`,
    )
    process.exit(2)
  }
  return {
    majors: given.length === 0 ? POSTGRES_MAJORS : given,
    folders,
    wantsPgBouncer: args.includes('--pgbouncer'),
  }
}

/** All at once, because npm removes what a call does not name. */
async function installPostgres(
  wanted: readonly PostgresMajor[],
): Promise<ReadonlyMap<PostgresMajor, string>> {
  const specs = wanted.map(major => {
    const [, spec] = /^npm install (\S+)$/.exec(installHint(major)) ?? []
    if (spec === undefined) throw new Error(`test matrix: ${installHint(major)}`)
    return spec
  })
  console.log(`installing ${specs.join(', ')}`)
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--prefix', MATRIX_DIR]
  await runOrThrow('npm', ['install', ...options, ...specs])
  return new Map(
    wanted.map(major => {
      const packageDir = join(MATRIX_DIR, 'node_modules', `postgresql-${major}`)
      // npm may have been told to run no install scripts.
      makeMissingLinks(packageDir)
      return [major, packageDir]
    }),
  )
}
