import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertAlerts, insertHost, makeMonthByHand } from '../partitions/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { checkOf, examine, expectFoundAndMended, makeHealthy, problemsOf } from './support.ts'

const database = useTestDatabase()
let hostId: string

beforeAll(async () => {
  await makeHealthy(database)
  hostId = await insertHost(database)
})
beforeEach(async () => {
  await database.sql(`
    DROP TABLE IF EXISTS alerts_y2025m04;
    SELECT ensure_alert_partition('2025-04-15Z')`)
  await insertAlerts(database, '2025-04', hostId, 20)
})

const contentOfMonth = () =>
  database.sql(`
    SELECT alert_id, rule_name, event_detail, received_at
    FROM alerts
    WHERE received_at >= '2025-04-01Z' AND received_at < '2025-05-01Z'
    ORDER BY alert_id`)

describe('what a partition is as a table', () => {
  it('foreign-owner finds one that belongs to another role', async () => {
    const role = `owner_${database.name}`
    await database.sql(`CREATE ROLE ${role}; ALTER TABLE alerts_y2025m04 OWNER TO ${role}`)
    try {
      const found = await expectFoundAndMended(database, ['foreign-owner: alerts_y2025m04'])
      expect(checkOf(found, 'foreign-owner').findings[0]).toMatchObject({
        mend: expect.stringMatching(/\nALTER TABLE alerts_y2025m04 OWNER TO "\w+";\n/),
        details: { owner: role },
      })
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  it('unlogged-partition finds one that a crash would empty', async () => {
    await database.sql('ALTER TABLE alerts_y2025m04 SET UNLOGGED')
    await expectFoundAndMended(database, ['unlogged-partition: alerts_y2025m04'])
    expect(
      await database.sql(`SELECT relpersistence FROM pg_class WHERE relname = 'alerts_y2025m04'`),
    ).toEqual([{ relpersistence: 'p' }])
  })

  it('disabled-trigger finds one that takes what it should refuse', async () => {
    const strangers = () =>
      database.sql(
        `INSERT INTO alerts_y2025m04 (host_id, timestamp, tripwire_type, rule_name, severity, received_at)
         VALUES ('${randomUUID()}', now(), 'FILE', 'r', 'INFO', '2025-04-02Z')`,
      )
    await database.sql(`
      ALTER TABLE alerts_y2025m04 DISABLE TRIGGER alerts_check_hosts_on_insert;
      ALTER TABLE alerts_y2025m04 ENABLE REPLICA TRIGGER alerts_check_resends`)
    await strangers()
    const found = await expectFoundAndMended(database, ['disabled-trigger: alerts_y2025m04'])
    expect(checkOf(found, 'disabled-trigger').findings[0]?.details).toEqual({
      triggers: ['alerts_check_hosts_on_insert', 'alerts_check_resends'],
    })
    await expect(strangers()).rejects.toMatchObject({ code: '23503' })
  })

  it('the triggers of our own tables are looked at, too', async () => {
    await database.sql(`
      ALTER TABLE alerts DISABLE TRIGGER USER;
      ALTER TABLE hosts DISABLE TRIGGER hosts_keep_alerts;
      ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_refuse_delete`)
    await expectFoundAndMended(database, [
      'schema-drift: trigger alerts_check_hosts_on_insert on alerts',
      'schema-drift: trigger alerts_check_hosts_on_update on alerts',
      'schema-drift: trigger alerts_check_resends on alerts',
      'schema-drift: trigger alerts_count_deleted on alerts',
      'schema-drift: trigger alerts_count_inserted on alerts',
      'schema-drift: trigger alerts_count_updated on alerts',
      'schema-drift: trigger alerts_keep_partition on alerts',
      'schema-drift: trigger alerts_write_journal_on_insert on alerts',
      'schema-drift: trigger alerts_write_journal_on_update on alerts',
      'schema-drift: trigger audit_entries_refuse_delete on audit_entries',
      'schema-drift: trigger hosts_keep_alerts on hosts',
    ])
  })
})

describe('not-a-table', () => {
  it('finds a month that is partitioned itself, and makes it anew with what its parts hold', async () => {
    await database.sql(`
      DROP TABLE alerts_y2025m04;
      CREATE TABLE alerts_y2025m04 PARTITION OF alerts
        FOR VALUES FROM ('2025-04-01Z') TO ('2025-05-01Z') PARTITION BY HASH (alert_id);
      CREATE TABLE part_0 PARTITION OF alerts_y2025m04 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE part_1 PARTITION OF alerts_y2025m04 FOR VALUES WITH (MODULUS 2, REMAINDER 1)`)
    await insertAlerts(database, '2025-04', hostId, 20)
    const before = await contentOfMonth()
    // A copy stands in one part, and in the other a row at the same place.
    await database.sql(`
      INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
      SELECT alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at + INTERVAL '1 day'
      FROM part_0`)
    const found = await expectFoundAndMended(database, ['not-a-table: alerts_y2025m04'])
    expect(checkOf(found, 'not-a-table').findings[0]).toMatchObject({
      message: expect.stringContaining('mending and retention pass it over'),
      details: { kind: 'partitioned' },
    })
    expect(await contentOfMonth()).toEqual(before)
    expect(
      await database.sql(
        `SELECT is_complete, is_table FROM list_alert_partitions() WHERE partition_name = 'alerts_y2025m04'`,
      ),
    ).toEqual([{ is_complete: true, is_table: true }])
  })

  it('finds a part that is UNLOGGED', async () => {
    await database.sql(`
      DROP TABLE alerts_y2025m04;
      CREATE TABLE alerts_y2025m04 PARTITION OF alerts
        FOR VALUES FROM ('2025-04-01Z') TO ('2025-05-01Z') PARTITION BY HASH (alert_id);
      CREATE UNLOGGED TABLE part_0 PARTITION OF alerts_y2025m04 FOR VALUES WITH (MODULUS 1, REMAINDER 0)`)
    expect(problemsOf(await examine(database))).toEqual([
      'not-a-table: alerts_y2025m04',
      'unlogged-partition: part_0',
    ])
  })

  it('finds a foreign table, and brings its alerts home', async () => {
    const before = await contentOfMonth()
    const { hostname, port, username, password } = new URL(database.directConnectionString)
    await database.sql(`
      CREATE EXTENSION postgres_fdw;
      CREATE SERVER archive FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host '${hostname}', port '${port}', dbname '${database.name}');
      CREATE USER MAPPING FOR CURRENT_USER SERVER archive
        OPTIONS (user '${decodeURIComponent(username)}', password '${decodeURIComponent(password)}');
      ALTER TABLE alerts DETACH PARTITION alerts_y2025m04;
      ALTER TABLE alerts_y2025m04 RENAME TO kept;
      CREATE FOREIGN TABLE alerts_y2025m04 PARTITION OF alerts
        FOR VALUES FROM ('2025-04-01Z') TO ('2025-05-01Z') SERVER archive OPTIONS (table_name 'kept')`)
    const found = await expectFoundAndMended(database, ['not-a-table: alerts_y2025m04'])
    expect(checkOf(found, 'not-a-table').findings[0]?.details).toEqual({ kind: 'foreign' })
    expect(await contentOfMonth()).toEqual(before)
    await database.sql('DROP TABLE kept; DROP EXTENSION postgres_fdw CASCADE')
  })
})

describe('incomplete-partition', () => {
  it('says why it did not look for duplicates, and keeps nothing back', async () => {
    const role = `watcher_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'x';
      GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT EXECUTE ON FUNCTION list_alert_partitions() TO ${role}`)
    try {
      await makeMonthByHand(database, '2025-02', 'by_hand')
      const url = new URL(database.connectionString)
      url.username = role
      url.password = 'x'
      const [finding] = checkOf(
        await examine({ connectionString: url.toString() }),
        'incomplete-partition',
      ).findings
      expect(finding).toMatchObject({
        subject: 'by_hand',
        message: expect.stringContaining('is not known, because permission denied for table by_hand'),
        details: { duplicates: null, lacksUniqueIndex: true },
      })
      await database.sql('DROP TABLE by_hand')
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})

/** What a session begins with. One that a pooler keeps began before, so the doctor goes past it. */
const direct = { connectionString: database.directConnectionString }

describe('session-settings', () => {
  it('finds a database in which every session begins read-only', async () => {
    await database.alter('SET default_transaction_read_only = on')
    const found = await expectFoundAndMended(direct, ['session-settings: default_transaction_read_only'])
    expect(checkOf(found, 'session-settings').message).toBe('default_transaction_read_only = on')
  })

  it('finds a role that may write alerts and whose sessions begin read-only, or fire no triggers', async () => {
    const role = `writer_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'x';
      ALTER ROLE ${role} SET default_transaction_read_only = on;
      ALTER ROLE ${role} IN DATABASE ${database.name} SET session_replication_role = replica`)
    try {
      const url = new URL(direct.connectionString)
      url.username = role
      url.password = 'x'
      await expectFoundAndMended({ connectionString: url.toString() }, [
        'session-settings: default_transaction_read_only',
        'session-settings: session_replication_role',
      ])
    } finally {
      await database.sql(`DROP ROLE ${role}`)
    }
  })

  it('leaves alone a role that only reads', async () => {
    const role = `reader_${database.name}`
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'x';
      ALTER ROLE ${role} SET default_transaction_read_only = on;
      GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role};
      GRANT EXECUTE ON FUNCTION list_alert_partitions() TO ${role}`)
    try {
      const url = new URL(database.connectionString)
      url.username = role
      url.password = 'x'
      expect(problemsOf(await examine({ connectionString: url.toString() }))).toEqual([])
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })
})
