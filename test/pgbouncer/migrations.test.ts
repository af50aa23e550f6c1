import pg from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus, Store } from '../../src/index.ts'
import { migrationLockKey } from '../../src/migrate/migration-lock.ts'
import { describeSchema, emptySchema, newestVersion } from '../migrate/fixtures.ts'
import { newAlerts, newHost, rejection } from '../store/fixtures.ts'
import { describeUnless } from '../support/describe-unless.ts'
import { pgbouncerMissing } from '../support/pgbouncer.ts'
import { expectNothingLeft } from '../support/pooler-leftovers.ts'
import { usePooledDatabase } from './pooled-database.ts'

const pooled = usePooledDatabase('empty', 2)
const { direct } = pooled
beforeEach(() => emptySchema(direct))

describeUnless(pgbouncerMissing(), 'F43: migrations through PgBouncer', () => {
  afterEach(() => expectNothingLeft(pooled))

  it('give from nothing the schema that they give without it', async () => {
    await migrateUp({ connectionString: direct.directConnectionString })
    const expected = await describeSchema(direct)
    await emptySchema(direct)
    const applied = await migrateUp(pooled.through)
    expect(applied.map(({ version }) => version)).toEqual(versionsUpTo(await newestVersion()))
    expect(await describeSchema(direct)).toEqual(expected)
    expect(await migrationStatus(pooled.through)).toMatchObject({
      version: await newestVersion(),
      dirty: false,
    })
    expect(await migrateUp(pooled.through)).toEqual([])
  })

  it('bring a database with alerts from version 4 to the newest, and keep the alerts', async () => {
    await migrateUp({ connectionString: direct.directConnectionString, steps: 4 })
    await direct.sql(`
      CREATE TABLE alerts_y2026m03
      PARTITION OF alerts FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')`)
    await direct.sql(`
      WITH host AS (
        INSERT INTO hosts (hostname) VALUES ('web-1') RETURNING host_id
      )
      INSERT INTO alerts (host_id, "timestamp", tripwire_type, rule_name, severity, received_at)
      SELECT host_id, moment, 'FILE', 'etc-passwd', 'WARN', moment
      FROM host, generate_series('2026-03-02'::timestamptz, '2026-03-12', '1 minute') AS moment`)
    const read = `SELECT count(*)::int AS count, min(alert_id::text) AS first FROM alerts`
    const before = await direct.sql(read)
    expect(before).toMatchObject([{ count: 14_401 }])
    const applied = await migrateUp(pooled.through)
    expect(applied[0]?.version).toBe(5)
    expect(await migrationStatus(pooled.through)).toMatchObject({
      version: await newestVersion(),
      dirty: false,
    })
    expect(await direct.sql(read)).toEqual(before)
    await using store = await Store.open(pooled.through)
    const hostId = await newHost(store)
    const receipts = await store.insertAlerts(newAlerts(2, hostId, { receivedAt: '2026-03-13T00:00:00Z' }))
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['stored', 'stored'])
  })

  it('are applied once each by eight migrators at once, who share two connections', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => migrateUp(pooled.through)))
    const versions = answers.flat().map(({ version }) => version)
    expect(versions.sort((a, b) => a - b)).toEqual(versionsUpTo(await newestVersion()))
    expect(await migrationStatus(pooled.through)).toMatchObject({
      version: await newestVersion(),
      dirty: false,
    })
  })

  it('are undone, and refuse to drop rows unless that is allowed', async () => {
    await migrateUp(pooled.through)
    await registerHost()
    const steps = await newestVersion()
    expect(await rejection(migrateDown({ ...pooled.through, steps }))).toMatchObject({
      code: 'MIGRATION_FAILED',
    })
    await migrateDown({ ...pooled.through, steps, allowDataLoss: true })
    expect(await migrationStatus(pooled.through)).toMatchObject({ version: 0 })
    // The permission was a setting of the transaction: the next client of the connection does not have it.
    await migrateUp(pooled.through)
    await registerHost()
    expect(await rejection(migrateDown({ ...pooled.through, steps }))).toMatchObject({
      code: 'MIGRATION_FAILED',
    })
  })

  it('end in MIGRATION_LOCKED while another client of the pooler holds the lock, and go on after it', async () => {
    const holder = new pg.Client(pooled.through)
    await holder.connect()
    try {
      await holder.query('BEGIN')
      const key = migrationLockKey('public', 'schema_migrations', direct.name)
      await holder.query('SELECT pg_advisory_xact_lock($1)', [key])
      const refused = await rejection(migrateUp({ ...pooled.through, lockTimeoutMs: 50 }))
      expect(refused).toMatchObject({ code: 'MIGRATION_LOCKED' })
      await holder.query('COMMIT')
    } finally {
      await holder.end()
    }
    expect(await migrateUp({ ...pooled.through, steps: 1 })).toHaveLength(1)
  })
})

async function registerHost(): Promise<void> {
  await using store = await Store.open(pooled.through)
  await newHost(store)
}

function versionsUpTo(newest: number): readonly number[] {
  return Array.from({ length: newest }, (_, index) => index + 1)
}
