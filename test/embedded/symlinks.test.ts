import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeMissingLinks } from '../../src/embedded/symlinks.ts'
import { temporaryFolder } from './support.ts'

function packageWithoutLinks(): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'native', 'lib'), { recursive: true })
  writeFileSync(join(folder, 'native', 'lib', 'libpq.so.5.18'), 'library')
  const links = [
    { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
    { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' },
  ]
  writeFileSync(join(folder, 'native', 'pg-symlinks.json'), JSON.stringify(links))
  return folder
}

describe('the links between libraries', () => {
  it('are made where they are missing, and stay where they are', () => {
    const folder = packageWithoutLinks()
    for (let time = 0; time < 2; time++) {
      makeMissingLinks(folder)
      for (const name of ['libpq.so', 'libpq.so.5']) {
        expect(readFileSync(join(folder, 'native', 'lib', name), 'utf8')).toBe('library')
      }
    }
  })

  it('that cannot be made are an error that names the way out', () => {
    const folder = packageWithoutLinks()
    const links = [{ source: 'native/gone/a.so.1', target: 'native/gone/a.so' }]
    writeFileSync(join(folder, 'native', 'pg-symlinks.json'), JSON.stringify(links))
    expect(() => makeMissingLinks(folder)).toThrow(
      expect.objectContaining({ code: 'EMBEDDED_NOT_INSTALLED', hint: expect.stringContaining(folder) }),
    )
  })

  it('are not needed by a package without a list', () => {
    expect(() => makeMissingLinks(temporaryFolder())).not.toThrow()
  })
})
