/** Databases that others made: the Go version with golang-migrate, and an operator by hand. With rows in them. */
import type { TestDatabase } from '../support/test-database.ts'

/** golang-migrate leaves one row. */
export const RECORD_VERSION_4 = `
  CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL);
  INSERT INTO schema_migrations VALUES (4, false);`

const GO_HOSTS = `
  CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE', 'DEGRADED');
  CREATE TABLE hosts (
    host_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    hostname TEXT NOT NULL UNIQUE,
    ip_address INET,
    platform TEXT,
    agent_version TEXT,
    last_seen TIMESTAMPTZ,
    status host_status NOT NULL DEFAULT 'OFFLINE',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
  );
  CREATE INDEX idx_hosts_status ON hosts (status);`

const GO_ALERTS = `
  CREATE TYPE tripwire_type AS ENUM ('FILE', 'NETWORK', 'PROCESS');
  CREATE TYPE severity_level AS ENUM ('INFO', 'WARN', 'CRITICAL');
  CREATE TABLE alerts (
    alert_id UUID NOT NULL DEFAULT gen_random_uuid(),
    host_id UUID NOT NULL REFERENCES hosts (host_id),
    timestamp TIMESTAMPTZ NOT NULL,
    tripwire_type tripwire_type NOT NULL,
    rule_name TEXT NOT NULL,
    event_detail JSONB,
    severity severity_level NOT NULL,
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (alert_id, received_at)
  ) PARTITION BY RANGE (received_at);
  CREATE INDEX idx_alerts_host_id ON alerts (host_id);
  CREATE INDEX idx_alerts_severity_received_at ON alerts (severity, received_at);
  SET TimeZone = 'UTC';
  CREATE TABLE alerts_y2026m02 PARTITION OF alerts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  CREATE TABLE alerts_y2026m03 PARTITION OF alerts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
  CREATE TABLE alerts_y2026m04 PARTITION OF alerts FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');`

const GO_RULES = `
  CREATE TABLE tripwire_rules (
    rule_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    host_id UUID CONSTRAINT fk_rules_host REFERENCES hosts (host_id),
    rule_type tripwire_type NOT NULL,
    target TEXT NOT NULL,
    severity severity_level NOT NULL DEFAULT 'WARN',
    enabled BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
  );
  CREATE INDEX idx_rules_host_id ON tripwire_rules (host_id);
  CREATE INDEX idx_rules_type_enabled ON tripwire_rules (rule_type, enabled);`

const goAudit = (extraColumns: string) => `
  CREATE TABLE audit_entries (
    entry_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    host_id UUID NOT NULL CONSTRAINT fk_audit_host REFERENCES hosts (host_id),
    sequence_num BIGINT NOT NULL,
    event_hash CHAR(64) NOT NULL,
    prev_hash CHAR(64) NOT NULL DEFAULT repeat('0', 64),
    payload JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),${extraColumns}
    CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num)
  );
  CREATE INDEX idx_audit_host_id_sequence ON audit_entries (host_id, sequence_num);
  CREATE INDEX idx_audit_created_at ON audit_entries (created_at);`

/** One statement list a migration of the Go version. */
export const GO_TABLES: readonly string[] = [GO_HOSTS, GO_ALERTS, GO_RULES, goAudit('')]

/** The variant whose audit entries know what they are about. */
export const GO_TABLES_WITH_ENTITY: readonly string[] = [
  GO_HOSTS,
  GO_ALERTS,
  GO_RULES,
  `${goAudit(' entity_id UUID,')}
  CREATE INDEX idx_audit_entity_id_created_at ON audit_entries (entity_id, created_at);`,
]

/** What the Go version has beyond ours, as `describeSchema` prints it. */
export const GO_EXTRAS: readonly string[] = [
  'index CREATE INDEX idx_audit_created_at ON public.audit_entries USING btree (created_at)',
  'index CREATE INDEX idx_audit_host_id_sequence ON public.audit_entries USING btree (host_id, sequence_num)',
  'index CREATE INDEX idx_hosts_status ON public.hosts USING btree (status)',
  'index CREATE INDEX idx_rules_type_enabled ON public.tripwire_rules USING btree (rule_type, enabled)',
]

export const ENTITY_EXTRAS: readonly string[] = [
  'column audit_entries.entity_id uuid',
  'index CREATE INDEX idx_audit_entity_id_created_at ON public.audit_entries USING btree (entity_id, created_at)',
]

/** An operator read the description and wrote tables of the same columns: other names, other forms of the same default. */
export const HAND_MADE_TABLES: readonly string[] = [
  `CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE', 'DEGRADED');
  CREATE TABLE hosts (
    hostname TEXT NOT NULL,
    host_id UUID NOT NULL,
    ip_address INET,
    platform TEXT,
    agent_version TEXT,
    last_seen TIMESTAMPTZ,
    status host_status NOT NULL DEFAULT 'ONLINE',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    note TEXT,
    CONSTRAINT "Key of hosts" PRIMARY KEY (host_id)
  );
  CREATE UNIQUE INDEX "One a name" ON hosts (hostname);`,

  `CREATE TYPE tripwire_type AS ENUM ('FILE', 'NETWORK', 'PROCESS');
  CREATE TYPE severity_level AS ENUM ('INFO', 'WARN', 'CRITICAL');
  CREATE TABLE alerts (
    received_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    alert_id UUID NOT NULL,
    host_id UUID NOT NULL CONSTRAINT "the host" REFERENCES hosts,
    timestamp TIMESTAMPTZ NOT NULL,
    tripwire_type tripwire_type NOT NULL,
    rule_name TEXT NOT NULL,
    event_detail JSONB,
    severity severity_level NOT NULL
  ) PARTITION BY RANGE (received_at);
  -- The names that PostgreSQL gives are names of ours, on other columns and on the same.
  CREATE INDEX ON alerts (host_id, received_at);
  CREATE INDEX ON alerts (received_at, alert_id);
  SET TimeZone = 'UTC';
  CREATE TABLE alerts_y2026m02 PARTITION OF alerts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  CREATE TABLE alerts_y2026m03 PARTITION OF alerts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
  CREATE TABLE alerts_y2026m04 PARTITION OF alerts FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');`,

  `CREATE TABLE tripwire_rules (
    rule_id UUID PRIMARY KEY,
    host_id UUID REFERENCES hosts ON DELETE CASCADE,
    rule_type tripwire_type NOT NULL,
    target TEXT NOT NULL,
    severity severity_level NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
  );`,

  `CREATE TABLE audit_entries (
    entry_id UUID PRIMARY KEY,
    host_id UUID NOT NULL REFERENCES hosts,
    sequence_num BIGINT NOT NULL,
    event_hash CHAR(64) NOT NULL,
    prev_hash CHAR(64) NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (host_id, sequence_num)
  );`,
]

export const HAND_MADE_EXTRAS: readonly string[] = [
  'column hosts.note text',
  'index CREATE INDEX alerts_host_id_received_at_idx_before ON ONLY public.alerts USING btree (host_id, received_at)',
  ...['02', '03', '04'].map(
    month =>
      `index CREATE INDEX alerts_y2026m${month}_host_id_received_at_idx ON public.alerts_y2026m${month} USING btree (host_id, received_at)`,
  ),
]

/** The same deletion rule stays, so this constraint is not letter by letter ours. */
export const HAND_MADE_CHANGES: readonly (readonly [ours: string, theirs: string])[] = [
  [
    'constraint tripwire_rules fk_rules_host FOREIGN KEY (host_id) REFERENCES hosts(host_id)',
    'constraint tripwire_rules fk_rules_host FOREIGN KEY (host_id) REFERENCES hosts(host_id) ON DELETE CASCADE',
  ],
]

const ROWS: readonly (readonly [table: string, sql: string])[] = [
  [
    'hosts',
    `INSERT INTO hosts (host_id, hostname, ip_address, last_seen, status)
     SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'host ' || n, ('10.0.0.' || n)::inet,
            '2026-02-03 04:05:06.789012+00', 'DEGRADED'
     FROM generate_series(1, 3) AS n`,
  ],
  [
    'alerts',
    // Equal times and microseconds, SQL NULL and JSON null, numbers that a double cannot hold; two months, the third empty.
    `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at)
     SELECT gen_random_uuid(),
            ('00000000-0000-4000-8000-' || lpad((1 + n % 3)::text, 12, '0'))::uuid,
            CASE n % 100 WHEN 0 THEN 'infinity' ELSE TIMESTAMPTZ '2026-01-01 00:00:00.000001+00' + (n % 50) * INTERVAL '1 microsecond' END,
            (ARRAY['FILE', 'NETWORK', 'PROCESS'])[1 + n % 3]::tripwire_type, 'rule ' || n % 7,
            CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'null'::jsonb WHEN 2 THEN '{"n": 9007199254740993.000000000000000001}' ELSE jsonb_build_object('n', n) END,
            (ARRAY['INFO', 'INFO', 'WARN', 'CRITICAL'])[1 + n % 4]::severity_level,
            TIMESTAMPTZ '2026-02-27 00:00:00.123456+00' + (n % 40) * INTERVAL '3 hours'
     FROM generate_series(1, 2000) AS n`,
  ],
  [
    'tripwire_rules',
    `INSERT INTO tripwire_rules (rule_id, host_id, rule_type, target, severity, enabled)
     SELECT gen_random_uuid(), host_id, 'FILE'::tripwire_type, '/etc/' || hostname, 'CRITICAL'::severity_level, false FROM hosts
     UNION ALL SELECT gen_random_uuid(), NULL, 'PROCESS', 'nc', 'INFO', true`,
  ],
  [
    'audit_entries',
    `INSERT INTO audit_entries (entry_id, host_id, sequence_num, event_hash, prev_hash, payload)
     SELECT gen_random_uuid(), host_id, n, repeat(n::text, 64), repeat((n - 1)::text, 64), '{"b": 1, "a": 1.10}'
     FROM hosts, generate_series(1, 3) AS n`,
  ],
]

/** Makes tables, and rows in those that are there. */
export async function makeDatabase(database: TestDatabase, tables: readonly string[]): Promise<void> {
  await database.sql(tables.join('\n'))
  for (const [, sql] of ROWS.slice(0, tables.length)) await database.sql(sql)
}

export interface RememberedRows {
  /** Every row as text, with the table that it stands in. */
  readonly atFirst: readonly string[]
  /** The same columns now. Those that came since are left out. */
  now(): Promise<readonly string[]>
}

export async function rememberRows(
  database: TestDatabase,
  tableCount = 4,
  schema = 'public',
): Promise<RememberedRows> {
  const selects: string[] = []
  for (const [table] of ROWS.slice(0, tableCount)) {
    const name = `${schema}.${table}`
    const [row] = await database.sql(
      `SELECT string_agg(quote_ident(attname), ', ') AS columns FROM pg_attribute
       WHERE attrelid = '${name}'::regclass AND attnum > 0 AND NOT attisdropped`,
    )
    selects.push(`SELECT tableoid::regclass || ' ' || ROW (${row?.['columns']})::text AS row FROM ${name}`)
  }
  const now = async () =>
    (await database.sql(`${selects.join(' UNION ALL ')} ORDER BY 1`)).map(row => String(row['row']))
  return { atFirst: await now(), now }
}
