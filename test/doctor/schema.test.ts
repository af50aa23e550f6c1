import { beforeEach, describe, expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import { newestVersion } from '../migrate/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { carryOut, checkOf, examine, expectFoundAndMended, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase('empty')
const { connectionString } = database

beforeEach(async () => {
  await database.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
})

describe('schema-version', () => {
  it('finds a database without a schema, where nothing else can be checked but the clocks', async () => {
    const found = await examine(database)
    const ok = found.checks.filter(({ status }) => status === 'ok').map(({ name }) => name)
    expect(ok).toEqual(['clock-skew', 'spool'])
    expect(checkOf(found, 'schema-version').findings).toMatchObject([
      { mend: 'tripwire-storage migrate up', details: { code: 'NOT_MIGRATED' } },
    ])
    expect(checkOf(found, 'maintenance')).toMatchObject({
      status: 'unchecked',
      message: expect.stringMatching(/^needs the schema: /),
    })
    await carryOut(database, checkOf(found, 'schema-version').findings[0]?.mend ?? '')
    await makeHealthy(database)
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('F45: finds an older schema', async () => {
    const newest = await newestVersion()
    await migrateUp({ connectionString, steps: newest - 1 })
    const found = await examine(database)
    expect(checkOf(found, 'schema-version')).toMatchObject({ status: 'finding' })
    expect(checkOf(found, 'schema-drift')).toMatchObject({
      status: 'unchecked',
      message: `db/schema.sql describes version ${newest}, and the database is at ${newest - 1}`,
    })
    await carryOut(database, checkOf(found, 'schema-version').findings[0]?.mend ?? '')
    expect(checkOf(await examine(database), 'schema-version').status).toBe('ok')
  })

  it('finds the mark of a migration that stopped half way', async () => {
    await migrateUp({ connectionString })
    await makeHealthy(database)
    await database.sql('UPDATE schema_migrations SET dirty = true')
    const found = await examine(database)
    expect(problemsOf(found)).toEqual([
      'schema-version: null',
      expect.stringMatching(/^schema-drift: unchecked/),
    ])
    await carryOut(database, checkOf(found, 'schema-version').findings[0]?.mend ?? '')
    expect(problemsOf(await examine(database))).toEqual([])
  })

  it('F45: finds a schema that broke with this version, and accepts a newer one that did not', async () => {
    await migrateUp({ connectionString })
    await makeHealthy(database)
    const newest = await newestVersion()
    await database.sql(`UPDATE schema_migrations SET version = ${newest + 2}`)
    expect(problemsOf(await examine(database))).toEqual([expect.stringMatching(/^schema-drift: unchecked/)])
    await database.sql(`UPDATE schema_compatibility SET breaking_version = ${newest + 1}`)
    expect(checkOf(await examine(database), 'schema-version').findings).toMatchObject([
      { details: { code: 'SCHEMA_TOO_NEW' }, mend: 'npm install tripwire-storage@latest' },
    ])
  })
})

describe('schema-drift', () => {
  it('finds each object that is not what the migrations make, and the SQL that mends it', async () => {
    await migrateUp({ connectionString })
    await makeHealthy(database)
    await database.sql(`
      DROP INDEX idx_rules_host_id;
      ALTER TABLE maintenance_tasks ADD COLUMN owner text NOT NULL DEFAULT '';
      ALTER TABLE maintenance_tasks ALTER COLUMN owner DROP DEFAULT;
      ALTER TABLE alerts DISABLE TRIGGER alerts_check_hosts_on_insert;
      CREATE UNIQUE INDEX one_platform ON hosts (platform)`)
    const found = await expectFoundAndMended(database, [
      'schema-drift: table maintenance_tasks',
      'schema-drift: index idx_rules_host_id',
      'schema-drift: trigger alerts_check_hosts_on_insert on alerts',
      'schema-drift: index one_platform',
    ])
    const drift = checkOf(found, 'schema-drift')
    expect(drift.message).toBe('4 objects not as the migrations make them')
    expect(drift.findings[0]).toMatchObject({
      message:
        'table maintenance_tasks is not what the migrations make: expected "", found "owner text NOT NULL"',
      details: {
        kind: 'changed',
        expected: expect.any(String),
        found: expect.stringContaining('owner text NOT NULL'),
      },
    })
    expect(await database.sql(`SELECT owner FROM maintenance_tasks`)).toEqual([{ owner: '' }])
  })

  it('finds that everybody may call what runs with the rights of its owner', async () => {
    await migrateUp({ connectionString })
    await makeHealthy(database)
    await database.sql('GRANT EXECUTE ON FUNCTION hosts_keep_alerts() TO PUBLIC')
    const found = await expectFoundAndMended(database, ['schema-drift: function hosts_keep_alerts'])
    expect(checkOf(found, 'schema-drift').findings[0]?.mend).toBe(
      'REVOKE EXECUTE ON ROUTINE hosts_keep_alerts() FROM PUBLIC;',
    )
  })
})
