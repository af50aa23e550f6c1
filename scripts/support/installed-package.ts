import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { PROJECT_DIR } from './project.ts'

const REQUIRED = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'dist/index.js',
  'dist/index.d.ts',
  'dist/embedded/index.js',
  'dist/embedded/index.d.ts',
  'dist/cli/main.js',
  'db/schema.sql',
  ...readdirSync(join(PROJECT_DIR, 'db', 'migrations')).map(name => `db/migrations/${name}`),
]

/** What has no business in a package: sources, tests, temporary files, what belongs to the development. */
const UNWANTED =
  /^(?:src|test|scripts|examples|bench|\.\w+)\/|(?<!\.d)\.ts$|\.tgz$|(?:^|\/)\.|^(?:tsconfig|biome|vitest)/

/** The files of a package, as paths with `/` from its folder. */
export function listPackageFiles(packageDir: string): readonly string[] {
  return readdirSync(packageDir, { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(packageDir, name)).isFile())
    .map(name => name.split(sep).join('/'))
    .filter(name => !name.startsWith('node_modules/'))
    .sort()
}

export function findContentProblems(packageDir: string, files: readonly string[]): readonly string[] {
  return [
    // What the project does not have, npm cannot pack; the project's own checks ask for it.
    ...REQUIRED.filter(name => !files.includes(name) && !isAbsentInProject(name)).map(
      name => `${name} is missing in the package; see "files" in package.json`,
    ),
    ...files
      .filter(name => UNWANTED.test(name))
      .map(name => `${name} does not belong into the package; see "files" in package.json`),
    ...files
      .filter(name =>
        readFileSync(join(packageDir, name), 'utf8').includes(PROJECT_DIR.replace(/[\\/]$/, '')),
      )
      .map(name => `${name} names a folder of this machine`),
  ]
}

function isAbsentInProject(name: string): boolean {
  return !name.startsWith('dist/') && !existsSync(join(PROJECT_DIR, name))
}
