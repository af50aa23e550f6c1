import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp } from '../../src/index.ts'
import { MIGRATIONS_DIR } from '../../src/migrate/migration-files.ts'
import { runCli } from '../cli/run-cli.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { GO_TABLES, makeDatabase, RECORD_VERSION_4, rememberRows } from './databases-from-elsewhere.ts'
import { emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database

/** The old key is (alert_id, received_at): sent again, an alert is one more row. */
const SEND_AGAIN = `
  INSERT INTO alerts
  SELECT alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at + INTERVAL '1 second'
  FROM alerts_y2026m03
  LIMIT 3`

beforeEach(async () => {
  await emptySchema(database)
  await makeDatabase(database, [...GO_TABLES, RECORD_VERSION_4])
  await database.sql(SEND_AGAIN)
})

const completeMonths = async () =>
  (
    await database.sql(
      `SELECT relid::text AS name, alert_partition_is_complete(relid) AS complete FROM pg_partition_tree('alerts') WHERE isleaf ORDER BY 1`,
    )
  ).map(row => [row['name'], row['complete']])

const ONE_INCOMPLETE = [
  ['alerts_y2026m02', true],
  ['alerts_y2026m03', false],
  ['alerts_y2026m04', true],
]

const indexesOfMarch = () =>
  database.sql(
    `SELECT indexname FROM pg_indexes WHERE tablename = 'alerts_y2026m03' AND indexname LIKE '%once%'`,
  )

describe('a month that holds alerts twice', () => {
  it('keeps every row and stays without the unique index, and migrateUp says so', async () => {
    const rows = await rememberRows(database)
    const applied = await migrateUp({ connectionString })
    expect(applied).toHaveLength((await newestVersion()) - 4)
    expect(applied.flatMap(each => each.warnings)).toEqual([
      expect.stringMatching(/^alerts_y2026m03 holds alerts twice.*partitions mend --remove-duplicates$/),
    ])
    expect(await rows.now()).toEqual(rows.atFirst)
    expect(await completeMonths()).toEqual(ONE_INCOMPLETE)
    expect(await indexesOfMarch()).toEqual([])
  })

  it('is a warning of the command, which succeeds', async () => {
    const { exitCode, stdout, stderr } = await runCli(connectionString, ['migrate', 'up'])
    expect(exitCode).toBe(0)
    expect(stdout).toContain('applied 5 alert_keys')
    expect(stderr).toMatch(/^warning: alerts_y2026m03 holds alerts twice/)
  })

  it('is a warning for golang-migrate as well', async () => {
    const warnings: (string | undefined)[] = []
    const client = new pg.Client({ connectionString: database.directConnectionString })
    client.on('notice', notice => {
      if (notice.severity === 'WARNING') warnings.push(notice.message)
    })
    await client.connect()
    await client.query(await readFile(join(MIGRATIONS_DIR, '005_alert_keys.up.sql'), 'utf8'))
    await client.end()
    expect(warnings).toEqual([expect.stringMatching(/^alerts_y2026m03 holds alerts twice/)])
    await database.sql('UPDATE schema_migrations SET version = 5')
    await migrateUp({ connectionString })
    expect(await completeMonths()).toEqual(ONE_INCOMPLETE)
  })

  it('gets its index when the duplicates are gone', async () => {
    await migrateUp({ connectionString })
    await database.sql(
      `DELETE FROM alerts AS later USING alerts AS first WHERE later.alert_id = first.alert_id AND later.received_at > first.received_at`,
    )
    await database.sql(`SELECT complete_alert_partition('alerts_y2026m03')`)
    expect((await completeMonths()).every(([, complete]) => complete)).toBe(true)
  })

  it('can go back', async () => {
    const rows = await rememberRows(database)
    await migrateUp({ connectionString })
    await migrateDown({ connectionString, steps: (await newestVersion()) - 4 })
    expect(await rows.now()).toEqual(rows.atFirst)
  })
})

describe('a partition that is itself partitioned', () => {
  it('gets the indexes of alerts, and no unique index that would promise too little', async () => {
    await database.sql(`
      SET TimeZone = 'UTC';
      CREATE TABLE alerts_y2026m05 PARTITION OF alerts FOR VALUES FROM ('2026-05-01') TO ('2026-06-01') PARTITION BY HASH (alert_id);
      CREATE TABLE alerts_y2026m05_0 PARTITION OF alerts_y2026m05 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE alerts_y2026m05_1 PARTITION OF alerts_y2026m05 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      INSERT INTO alerts SELECT gen_random_uuid(), host_id, timestamp, tripwire_type, rule_name, event_detail, severity,
        TIMESTAMPTZ '2026-05-05 00:00:00+00' FROM alerts LIMIT 100`)
    const rows = await rememberRows(database)
    await migrateUp({ connectionString })
    expect(await rows.now()).toEqual(rows.atFirst)
    const indexes = await database.sql(
      `SELECT tablename, count(*)::int AS count, count(*) FILTER (WHERE indexdef LIKE 'CREATE UNIQUE%')::int AS unique
       FROM pg_indexes WHERE tablename LIKE 'alerts_y2026m05_%' GROUP BY 1 ORDER BY 1`,
    )
    expect(indexes).toEqual([
      { tablename: 'alerts_y2026m05_0', count: 12, unique: 0 },
      { tablename: 'alerts_y2026m05_1', count: 12, unique: 0 },
    ])
  })
})
