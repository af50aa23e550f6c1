import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { migrateUp } from '../../src/index.ts'
import { findSchemaDrift, SCHEMA_FILE, type SchemaDifference } from '../../src/migrate/schema-drift.ts'
import { renderSnapshot, takeSchemaSnapshot } from '../../src/migrate/schema-snapshot.ts'
import { readStatement, readStatements } from '../../src/migrate/schema-statement.ts'
import { Database, type QueryRunner } from '../../src/pg/database.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase()

async function inReadOnly<T>(
  connectionString: string,
  work: (transaction: QueryRunner) => Promise<T>,
): Promise<T> {
  const db = new Database({
    connectionString,
    maxConnections: 1,
    connectTimeoutMs: 10_000,
    applicationName: 'test drift',
  })
  try {
    return await db.transaction(async transaction => {
      await transaction.runScript('SET TRANSACTION READ ONLY')
      return work(transaction)
    })
  } finally {
    await db.close()
  }
}

const driftOf = (connectionString = database.connectionString) =>
  inReadOnly(connectionString, findSchemaDrift)

const brief = ({ kind, object }: SchemaDifference) => `${kind}: ${object}`

interface Change {
  readonly what: string
  readonly sql: string
  readonly found: readonly string[]
  /** The first line that differs, on either side. */
  readonly differs?: readonly [expected: string, found: string]
}

const NEW_OBJECTS: readonly Change[] = [
  {
    what: 'a column that every row needs a value for',
    sql: 'ALTER TABLE maintenance_tasks ADD note text NOT NULL, ADD remark text',
    found: ['changed: table maintenance_tasks'],
    differs: ['', 'note text NOT NULL'],
  },
  {
    what: 'a constraint',
    sql: 'ALTER TABLE hosts ADD CONSTRAINT small CHECK (length(hostname) < 9)',
    found: ['unexpected: constraint small on hosts'],
  },
  {
    what: 'a unique constraint',
    sql: 'ALTER TABLE hosts ADD CONSTRAINT one_address UNIQUE (ip_address)',
    found: ['unexpected: constraint one_address on hosts'],
  },
  {
    what: 'a unique index',
    sql: 'CREATE UNIQUE INDEX "One target" ON tripwire_rules (target)',
    found: ['unexpected: index "One target"'],
  },
  {
    what: 'a trigger',
    sql: `CREATE FUNCTION drop_alert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
          CREATE TRIGGER losing BEFORE INSERT ON hosts FOR EACH ROW EXECUTE FUNCTION drop_alert()`,
    found: ['unexpected: trigger losing on hosts'],
  },
  {
    what: 'row security and a policy',
    sql: 'ALTER TABLE alerts ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON alerts USING (false)',
    found: ['changed: table alerts', 'unexpected: policy mine on alerts'],
  },
  {
    what: 'a function of our name with other arguments',
    sql: `CREATE FUNCTION ensure_alert_partition(p_moment timestamptz, p_note text DEFAULT 'a, b') RETURNS text LANGUAGE sql RETURN 'x'`,
    found: ['unexpected: function ensure_alert_partition(timestamp with time zone,text)'],
  },
]

const CHANGED_OBJECTS: readonly Change[] = [
  {
    what: 'the type and the default of a column',
    sql: `ALTER TABLE alert_dead_letters ALTER attempts TYPE bigint, ALTER attempts SET DEFAULT 2`,
    found: ['changed: table alert_dead_letters'],
    differs: ['attempts integer NOT NULL DEFAULT 1', 'attempts bigint NOT NULL DEFAULT 2'],
  },
  {
    what: 'NOT NULL',
    sql: `ALTER TABLE hosts ALTER created_at DROP NOT NULL, ALTER platform SET NOT NULL`,
    found: ['changed: table hosts'],
  },
  {
    what: 'a default that goes',
    sql: 'ALTER TABLE tripwire_rules ALTER enabled DROP DEFAULT',
    found: ['changed: table tripwire_rules'],
    differs: ['enabled boolean NOT NULL DEFAULT true', 'enabled boolean NOT NULL'],
  },
  {
    what: 'the durability of a table',
    sql: 'ALTER TABLE alert_dead_letters SET UNLOGGED',
    found: ['changed: table alert_dead_letters'],
  },
  {
    what: 'a check',
    sql: `ALTER TABLE alert_dead_letters DROP CONSTRAINT alert_dead_letters_attempted,
            ADD CONSTRAINT alert_dead_letters_attempted CHECK (attempts > 1)`,
    found: ['changed: constraint alert_dead_letters_attempted on alert_dead_letters'],
  },
  {
    what: 'a check that was never validated',
    sql: `ALTER TABLE alert_dead_letters DROP CONSTRAINT alert_dead_letters_attempted,
            ADD CONSTRAINT alert_dead_letters_attempted CHECK (attempts > 0) NOT VALID`,
    found: ['changed: constraint alert_dead_letters_attempted on alert_dead_letters'],
  },
  {
    what: 'a foreign key that is switched off',
    sql: 'ALTER TABLE tripwire_rules DISABLE TRIGGER ALL',
    found: ['changed: constraint fk_rules_host on tripwire_rules'],
  },
  {
    what: 'an index',
    sql: 'DROP INDEX idx_rules_host_id; CREATE INDEX idx_rules_host_id ON tripwire_rules (rule_id)',
    found: ['changed: index idx_rules_host_id'],
  },
  {
    what: 'the body of a function',
    sql: `CREATE OR REPLACE FUNCTION hosts_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
    found: ['changed: function hosts_refuse_truncate'],
  },
  {
    what: 'the settings of a function',
    sql: 'ALTER FUNCTION ensure_alert_partition(timestamptz) RESET lock_timeout',
    found: ['changed: function ensure_alert_partition'],
    differs: ["SET lock_timeout TO '1s'", 'AS $function$'],
  },
  {
    what: 'who may call a function that runs as its owner',
    sql: 'GRANT EXECUTE ON FUNCTION ensure_alert_partitions(integer) TO PUBLIC',
    found: ['changed: function ensure_alert_partitions'],
    differs: ['REVOKE EXECUTE ON ROUTINE ensure_alert_partitions(integer) FROM PUBLIC;', ''],
  },
  {
    what: 'who may call a function of triggers that runs as its owner, and its body',
    sql: `GRANT EXECUTE ON FUNCTION audit_refuse_delete() TO PUBLIC;
          CREATE OR REPLACE FUNCTION audit_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
    found: ['changed: function audit_refuse_delete'],
  },
  {
    what: 'the result of a function',
    sql: `DROP FUNCTION record_maintenance;
          CREATE FUNCTION record_maintenance(p_task TEXT, p_error TEXT, p_settings JSONB) RETURNS INTEGER LANGUAGE sql RETURN 1`,
    found: ['changed: function record_maintenance'],
  },
  {
    what: 'a trigger that is switched off',
    sql: 'ALTER TABLE alerts DISABLE TRIGGER alerts_check_resends',
    found: ['changed: trigger alerts_check_resends on alerts'],
  },
  {
    what: 'everything that guards a table, switched off',
    sql: 'ALTER TABLE audit_entries DISABLE TRIGGER ALL',
    found: [
      'changed: constraint fk_audit_host on audit_entries',
      'changed: trigger audit_entries_continue_chain on audit_entries',
      'changed: trigger audit_entries_refuse_delete on audit_entries',
      'changed: trigger audit_entries_refuse_update on audit_entries',
    ],
  },
  {
    what: 'a trigger that does not fire for a replica any more',
    sql: 'ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_refuse_delete',
    found: ['changed: trigger audit_entries_refuse_delete on audit_entries'],
    differs: [
      'EXECUTE FUNCTION audit_refuse_delete(); -- enabled: A',
      'EXECUTE FUNCTION audit_refuse_delete();',
    ],
  },
  {
    what: 'what a trigger fires for',
    sql: `DROP TRIGGER audit_entries_refuse_delete ON audit_entries;
          CREATE TRIGGER audit_entries_refuse_delete
            BEFORE DELETE ON audit_entries
            FOR EACH ROW WHEN (false) EXECUTE FUNCTION audit_refuse_delete()`,
    found: ['changed: trigger audit_entries_refuse_delete on audit_entries'],
  },
  {
    what: 'a label that an enum lacks',
    sql: `ALTER TABLE hosts ALTER status DROP DEFAULT, ALTER status TYPE text;
          DROP TYPE host_status;
          CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE');
          ALTER TABLE hosts ALTER status TYPE host_status USING status::host_status, ALTER status SET DEFAULT 'OFFLINE'`,
    found: ['changed: type host_status'],
  },
]

const MISSING_OBJECTS: readonly Change[] = [
  {
    what: 'a column',
    sql: 'ALTER TABLE maintenance_tasks DROP last_error',
    found: ['changed: table maintenance_tasks'],
  },
  {
    what: 'a table',
    sql: 'DROP TABLE restored_alert_partitions',
    found: [
      'missing: table restored_alert_partitions',
      'missing: constraint restored_alert_partitions_pkey on restored_alert_partitions',
    ],
  },
  {
    what: 'a unique constraint',
    sql: 'ALTER TABLE hosts DROP CONSTRAINT hosts_hostname_unique',
    found: ['missing: constraint hosts_hostname_unique on hosts'],
  },
  {
    what: 'an index of alerts',
    sql: 'DROP INDEX alerts_warn_received_idx',
    found: ['missing: index alerts_warn_received_idx'],
  },
  {
    what: 'a function that runs as its owner',
    sql: 'DROP FUNCTION list_alert_partitions',
    found: ['missing: function list_alert_partitions'],
  },
  {
    what: 'a trigger that fires for replicas as well',
    sql: 'DROP TRIGGER audit_entries_refuse_update ON audit_entries',
    found: ['missing: trigger audit_entries_refuse_update on audit_entries'],
  },
  {
    what: 'a function that everybody was kept from, and that gives several values',
    sql: 'DROP FUNCTION ensure_alert_month_ahead',
    found: ['missing: function ensure_alert_month_ahead'],
  },
  {
    what: 'a function and the triggers that call it',
    sql: 'DROP FUNCTION hosts_keep_alerts CASCADE',
    found: ['missing: function hosts_keep_alerts', 'missing: trigger hosts_keep_alerts on hosts'],
  },
]

describe.each([
  ['that was added', NEW_OBJECTS],
  ['that was changed', CHANGED_OBJECTS],
  ['that was dropped', MISSING_OBJECTS],
])('an object %s is drift, and gone after its mend:', (_, changes) => {
  it.each(changes)('$what', async ({ sql, found, differs }) => {
    await database.sql(sql)
    const drift = await driftOf()
    expect(drift.map(brief).sort()).toEqual([...found].sort())
    for (const difference of drift) {
      expect(difference.expected === null).toBe(difference.kind === 'unexpected')
      expect(difference.found === null).toBe(difference.kind === 'missing')
      expect(difference.firstDifference === null).toBe(difference.kind !== 'changed')
    }
    if (differs) {
      const [expected, present] = differs
      expect(drift[0]?.firstDifference).toEqual({ expected, found: present })
    }
    for (const { mend } of drift) await database.sql(mend)
    expect(await driftOf()).toEqual([])
  })
})

describe('what is no drift', () => {
  it.each([
    ['a month made ahead', `SELECT ensure_alert_partitions(3)`],
    [
      'a month made by hand, with other indexes, triggers and constraints',
      `CREATE TABLE handmade PARTITION OF alerts FOR VALUES FROM ('2024-01-01Z') TO ('2024-02-01Z');
       CREATE UNIQUE INDEX handmade_once ON handmade (alert_id);
       ALTER TABLE handmade ADD CONSTRAINT handmade_check CHECK (rule_name <> '');
       CREATE TRIGGER handmade_truncate BEFORE TRUNCATE ON handmade EXECUTE FUNCTION hosts_refuse_truncate()`,
    ],
    ['the DEFAULT partition', 'CREATE TABLE everything_else PARTITION OF alerts DEFAULT'],
    [
      'a month that is on its way out',
      `SELECT ensure_alert_partition('2023-01-01Z');
       INSERT INTO alert_partition_retirements (partition_name, range_from, range_to)
       VALUES ('alerts_y2023m01', '2023-01-01Z', '2023-02-01Z');
       ALTER TABLE alerts DETACH PARTITION alerts_y2023m01`,
    ],
    ['the month of db/schema.sql, gone', 'DROP TABLE alerts_y2026m02'],
    [
      'one more index that is not unique',
      'CREATE INDEX ON hosts (platform); CREATE INDEX ON alerts (rule_name)',
    ],
    [
      "an operator's columns, for which no row needs a value",
      `ALTER TABLE hosts ADD note text, ADD "Rank, or none" integer NOT NULL DEFAULT 1;
       ALTER TABLE alerts ADD seen boolean;
       ALTER TABLE tripwire_rules ADD number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
         ADD length integer NOT NULL GENERATED ALWAYS AS (length(target)) STORED`,
    ],
    [
      'who else may call a function, and who may not call one that runs as its caller',
      `GRANT EXECUTE ON FUNCTION ensure_alert_partitions(integer), alerts_check_hosts() TO pg_monitor;
       REVOKE EXECUTE ON FUNCTION record_maintenance(text, text, jsonb), hosts_refuse_truncate() FROM PUBLIC`,
    ],
    [
      'storage parameters',
      'ALTER TABLE hosts SET (autovacuum_vacuum_scale_factor = 0.01); ALTER INDEX idx_rules_host_id SET (fillfactor = 80)',
    ],
    ['comments', `COMMENT ON TABLE hosts IS 'the machines'; COMMENT ON COLUMN hosts.platform IS 'x'`],
    [
      "an operator's own objects",
      `CREATE TYPE mood AS ENUM ('calm');
       CREATE TABLE notes (id integer PRIMARY KEY, host_id uuid UNIQUE REFERENCES hosts (host_id));
       CREATE VIEW busy AS SELECT host_id, count(*) FROM alerts GROUP BY host_id;
       CREATE FUNCTION odd() RETURNS text LANGUAGE sql AS $odd$
/*

-- Indexes

CREATE INDEX broken ON hosts (

*/
SELECT 'x' $odd$;
       CREATE SEQUENCE numbers;
       CREATE DOMAIN short AS text`,
    ],
    [
      'the version table as golang-migrate makes it',
      `DROP TABLE schema_migrations;
       CREATE TABLE "schema_migrations" (version bigint not null primary key, dirty boolean not null);
       INSERT INTO schema_migrations VALUES (${Number.MAX_SAFE_INTEGER}, false)`,
    ],
    [
      'the order of columns',
      `ALTER TABLE maintenance_tasks ADD last_error_2 text;
       ALTER TABLE maintenance_tasks DROP last_error;
       ALTER TABLE maintenance_tasks RENAME last_error_2 TO last_error`,
    ],
  ])('%s', async (_, sql) => {
    await database.sql(sql)
    expect(await driftOf()).toEqual([])
  })
})

it('functions that run as their owner are kept from everybody, made by a migration or by a mend', async () => {
  const ownersFunctions = `
    SELECT oid::regprocedure::text AS name, has_function_privilege('public', oid, 'EXECUTE') AS everybody
    FROM pg_proc
    WHERE prosecdef AND pronamespace = 'public'::regnamespace
    ORDER BY 1`
  const made = await database.sql(ownersFunctions)
  expect(made.length).toBeGreaterThan(7)
  expect(made.filter(({ everybody }) => everybody)).toEqual([])
  for (const { name } of made) await database.sql(`DROP FUNCTION ${name} CASCADE`)
  for (const { mend } of await driftOf()) await database.sql(mend)
  expect(await database.sql(ownersFunctions)).toEqual(made)
})

it('an identity column, with which no month can be made, is drift where PostgreSQL allows it', async () => {
  const [server] = await database.sql(`SELECT current_setting('server_version_num')::int AS version`)
  const adding = database.sql('ALTER TABLE alerts ADD number integer GENERATED ALWAYS AS IDENTITY')
  if (Number(server?.['version']) < 170_000) {
    await expect(adding).rejects.toMatchObject({ code: '42P16' })
    return
  }
  await adding
  const drift = await driftOf()
  expect(drift).toMatchObject([
    {
      object: 'table alerts',
      firstDifference: { found: 'number integer NOT NULL GENERATED ALWAYS AS IDENTITY' },
    },
  ])
  for (const { mend } of drift) await database.sql(mend)
  expect(await driftOf()).toEqual([])
  expect(await database.sql(`SELECT ensure_alert_partition('2022-02-01Z') AS made`)).toEqual([
    { made: 'alerts_y2022m02' },
  ])
})

it('a label that nobody expects has no statement that removes it, and says so', async () => {
  await database.sql(`ALTER TYPE severity_level ADD VALUE 'FATAL'`)
  const [difference] = await driftOf()
  expect(difference).toMatchObject({
    object: 'type severity_level',
    mend: expect.stringMatching(/^-- by hand/),
  })
})

describe('the text of a snapshot', () => {
  it('is read back into the statements that it was made of', async () => {
    const snapshot = await inReadOnly(database.connectionString, takeSchemaSnapshot)
    const live = snapshot.sections.flatMap(({ statements }) => statements.map(readStatement))
    const withoutOdd = live.filter(({ name }) => name !== 'odd')
    const text = renderSnapshot({
      ...snapshot,
      sections: [{ title: 'All', statements: withoutOdd.map(({ sql }) => sql) }],
    })
    expect(readStatements(text)).toEqual(withoutOdd)
  })

  it('names the kind of everything that the migrations make', async () => {
    const statements = readStatements(await readFile(SCHEMA_FILE, 'utf8'))
    expect(statements.length).toBeGreaterThan(60)
    expect(statements.filter(({ kind }) => kind === 'other')).toEqual([])
  })
})

describe('in another schema', () => {
  const other = useTestDatabase('empty')
  const { connectionString } = withSettings(other, { search_path: '"Other€",public' })

  beforeAll(async () => {
    await other.sql('CREATE SCHEMA "Other€"')
    await migrateUp({ connectionString })
  })

  it('there is no drift, and what was dropped is made there again', async () => {
    expect(await driftOf(connectionString)).toEqual([])
    await other.sql(
      `SET search_path TO "Other€"; DROP FUNCTION record_maintenance; DROP INDEX idx_rules_host_id`,
    )
    const drift = await driftOf(connectionString)
    expect(drift.map(brief)).toEqual([
      'missing: index idx_rules_host_id',
      'missing: function record_maintenance',
    ])
    for (const { mend } of drift) await other.sql(`SET search_path TO "Other€", public; ${mend}`)
    expect(await driftOf(connectionString)).toEqual([])
  })

  it('is looked at where the search_path begins with a schema that holds nothing of ours', async () => {
    await other.sql('CREATE SCHEMA empty_one')
    const both = withSettings(other, { search_path: 'empty_one,"Other€",public' })
    expect(await driftOf(both.connectionString)).toEqual([])
  })

  it('is refused where there is none', async () => {
    await expect(driftOf(other.connectionString)).rejects.toMatchObject({ code: 'NOT_MIGRATED' })
  })
})
