import { beforeEach, describe, expect, it } from 'vitest'
import { migrateDown, migrateUp, migrationStatus, planMigrateUp } from '../../src/index.ts'
import { runCli } from '../cli/run-cli.ts'
import { rejection } from '../store/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { GO_TABLES, makeDatabase } from './databases-from-elsewhere.ts'
import { describeSchema, emptySchema } from './fixtures.ts'

const database = useTestDatabase('empty')
const { connectionString } = database
beforeEach(() => emptySchema(database))

const HASH = 'character(64) NOT NULL'
const MOMENT = 'timestamp with time zone NOT NULL'

describe('tables without a record that are not ours', () => {
  it.each([
    [
      'a table that is missing',
      'DROP TABLE tripwire_rules',
      'tripwire_rules: expected a table, found nothing',
    ],
    [
      'a view in the place of a table',
      'ALTER TABLE tripwire_rules RENAME TO rules; CREATE VIEW tripwire_rules AS SELECT * FROM rules',
      'tripwire_rules: expected a table, found something else',
    ],
    [
      'a table that a crash would empty',
      'ALTER TABLE audit_entries SET UNLOGGED',
      'audit_entries: expected a table, found an unlogged table',
    ],
    [
      'a column that is missing',
      'ALTER TABLE hosts DROP COLUMN last_seen',
      'hosts.last_seen: expected timestamp with time zone, found nothing',
    ],
    [
      'a column of another type',
      'ALTER TABLE audit_entries ALTER COLUMN event_hash TYPE TEXT',
      `audit_entries.event_hash: expected ${HASH}, found text NOT NULL`,
    ],
    [
      'a column that takes NULL',
      'ALTER TABLE hosts ALTER COLUMN created_at DROP NOT NULL',
      `hosts.created_at: expected ${MOMENT}, found timestamp with time zone`,
    ],
    [
      'a column that does not take NULL',
      `UPDATE hosts SET platform = 'linux'; ALTER TABLE hosts ALTER COLUMN platform SET NOT NULL`,
      'hosts.platform: expected text, found text NOT NULL',
    ],
    [
      'a column that refuses values',
      'ALTER TABLE audit_entries ALTER COLUMN sequence_num ADD GENERATED ALWAYS AS IDENTITY',
      'audit_entries.sequence_num: expected bigint NOT NULL, found bigint NOT NULL GENERATED ALWAYS',
    ],
    [
      'one column more, which needs a value',
      `ALTER TABLE hosts ADD COLUMN owner TEXT NOT NULL DEFAULT ''; ALTER TABLE hosts ALTER COLUMN owner DROP DEFAULT`,
      'hosts.owner: expected nullable, or with a default, found text NOT NULL',
    ],
    [
      'an enum with one label more',
      `ALTER TYPE severity_level ADD VALUE 'DEBUG'`,
      'enum severity_level: expected INFO, WARN, CRITICAL, found INFO, WARN, CRITICAL, DEBUG',
    ],
    [
      'an enum in another order',
      `ALTER TYPE tripwire_type RENAME VALUE 'FILE' TO 'X'; ALTER TYPE tripwire_type RENAME VALUE 'NETWORK' TO 'FILE'; ALTER TYPE tripwire_type RENAME VALUE 'X' TO 'NETWORK'`,
      'enum tripwire_type: expected FILE, NETWORK, PROCESS, found NETWORK, FILE, PROCESS',
    ],
    [
      'host names that may stand twice',
      'ALTER TABLE hosts DROP CONSTRAINT hosts_hostname_key',
      'hosts: expected UNIQUE (hostname), found PRIMARY KEY (host_id)',
    ],
    [
      'host names that are unique in a part of the rows',
      `ALTER TABLE hosts DROP CONSTRAINT hosts_hostname_key; CREATE UNIQUE INDEX u ON hosts (hostname) WHERE status = 'ONLINE'`,
      'hosts: expected UNIQUE (hostname), found PRIMARY KEY (host_id)',
    ],
    [
      'a chain that may fork',
      'ALTER TABLE audit_entries DROP CONSTRAINT audit_host_sequence_unique',
      'audit_entries: expected UNIQUE (host_id, sequence_num), found PRIMARY KEY (entry_id), FOREIGN KEY (host_id) REFERENCES hosts(host_id)',
    ],
    [
      'rules of hosts that nobody knows',
      'ALTER TABLE tripwire_rules DROP CONSTRAINT fk_rules_host',
      'tripwire_rules: expected FOREIGN KEY (host_id) REFERENCES hosts(host_id), found PRIMARY KEY (rule_id)',
    ],
    [
      'the record of a database that went on',
      'CREATE TABLE schema_compatibility ()',
      'schema_compatibility: expected nothing, because a migration after 004 makes it, found a table',
    ],
  ])('%s: named, and nothing is changed', async (_, sql, difference) => {
    await makeDatabase(database, GO_TABLES)
    for (const statement of sql.split(';')) await database.sql(statement)
    const before = await describeSchema(database)
    const error = await rejection(migrateUp({ connectionString }))
    expect(error).toMatchObject({
      code: 'MIGRATION_HISTORY',
      message: expect.stringMatching(/^no migration is recorded, and the tables .* version 4: /),
    })
    expect(String(error).split(' version 4: ')[1]).toBe(difference)
    expect(await rejection(planMigrateUp({ connectionString }))).toEqual(error)
    expect(await describeSchema(database)).toEqual(before)
    expect(await migrationStatus({ connectionString })).toMatchObject({
      version: 0,
      unrecorded: { differences: [expect.any(Object)] },
    })
  })

  it.each([
    ['not partitioned', '', 'not partitioned'],
    ['partitioned by another column', 'PARTITION BY RANGE (timestamp)', 'partitioned by RANGE ("timestamp")'],
    ['partitioned in another way', 'PARTITION BY HASH (received_at)', 'partitioned by HASH (received_at)'],
  ])('alerts that are %s', async (_, clause, found) => {
    const [hosts = '', alerts = ''] = GO_TABLES
    const [definition = ''] = alerts.split('CREATE INDEX')
    await database.sql(hosts)
    await database.sql(
      definition
        .replace('PARTITION BY RANGE (received_at)', clause)
        .replace('PRIMARY KEY (alert_id, received_at)', 'CHECK (true)'),
    )
    const error = await rejection(migrateUp({ connectionString }))
    expect(String(error)).toContain(`: alerts: expected partitioned by RANGE (received_at), found ${found}`)
  })

  it('are all named at once, also by the command', async () => {
    await makeDatabase(database, GO_TABLES)
    await database.sql(`ALTER TABLE hosts DROP COLUMN platform, ADD COLUMN owner TEXT NOT NULL DEFAULT ''`)
    await database.sql('ALTER TABLE hosts ALTER COLUMN owner DROP DEFAULT')
    await database.sql('ALTER TABLE alerts ALTER COLUMN rule_name TYPE VARCHAR(80)')
    const differences = [
      'hosts.platform: expected text, found nothing',
      'hosts.owner: expected nullable, or with a default, found text NOT NULL',
      'alerts.rule_name: expected text NOT NULL, found character varying(80) NOT NULL',
    ]
    const up = await runCli(connectionString, ['migrate', 'up'])
    expect(up.exitCode).not.toBe(0)
    expect(up.stderr).toContain(differences.join('; '))
    const status = await runCli(connectionString, ['migrate', 'status'])
    expect(status.stdout).toContain(`migrate up will refuse them\n  ${differences.join('\n  ')}\n`)
  })

  it('are no concern of migrateDown', async () => {
    await makeDatabase(database, GO_TABLES)
    expect(await migrateDown({ connectionString, steps: 1 })).toEqual([])
  })
})
