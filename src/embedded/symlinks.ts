import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { TripwireStorageError } from '../errors.ts'

interface Link {
  readonly source: string
  readonly target: string
}

/**
 * Makes the links between libraries that a package of PostgreSQL needs.
 * A package on npm cannot hold links, so its install script makes them; but npm may be told to run no scripts.
 * @throws TripwireStorageError EMBEDDED_NOT_INSTALLED when a link is missing and cannot be made.
 */
export function makeMissingLinks(packageDir: string): void {
  for (const { source, target } of readLinks(packageDir)) {
    const path = join(packageDir, target)
    if (existsSync(path)) continue
    try {
      symlinkSync(basename(source), path)
    } catch (cause) {
      // Another start may have made it in the meantime.
      if (existsSync(path)) continue
      throw new TripwireStorageError('EMBEDDED_NOT_INSTALLED', `the link ${path} is missing`, {
        cause,
        hint: `run its install script once with an account that may write there: cd ${packageDir} && node scripts/hydrate-symlinks.js`,
      })
    }
  }
}

function readLinks(packageDir: string): readonly Link[] {
  const path = join(packageDir, 'native', 'pg-symlinks.json')
  if (!existsSync(path)) return []
  const links: unknown = JSON.parse(readFileSync(path, 'utf8'))
  // Both ends lie in one folder in every package, so that a relative link survives a move of the whole.
  return Array.isArray(links)
    ? links.filter(link => isLink(link) && dirname(link.source) === dirname(link.target))
    : []
}

function isLink(value: unknown): value is Link {
  return (
    typeof value === 'object' &&
    value !== null &&
    'source' in value &&
    typeof value.source === 'string' &&
    'target' in value &&
    typeof value.target === 'string'
  )
}
