/** The tables of migrations 001 to 004, as the catalogue of PostgreSQL would print them. */

export interface ColumnShape {
  /** As `format_type` prints it. */
  readonly type: string
  readonly isNullable: boolean
  /** As `pg_get_expr` prints it. */
  readonly defaultSql: string | null
}

export interface TableShape {
  readonly table: string
  /** The name of the migration that makes it. */
  readonly migration: string
  readonly partitionedBy: string | null
  readonly enums: Readonly<Record<string, readonly string[]>>
  readonly columns: Readonly<Record<string, ColumnShape>>
  /** Without those that migration 005 drops. */
  readonly keys: readonly string[]
}

function notNull(type: string, defaultSql: string | null = null): ColumnShape {
  return { type, isNullable: false, defaultSql }
}

function nullable(type: string): ColumnShape {
  return { type, isNullable: true, defaultSql: null }
}

const NEW_ID = notNull('uuid', 'gen_random_uuid()')
const NOW = notNull('timestamp with time zone', 'now()')

const HOSTS: TableShape = {
  table: 'hosts',
  migration: 'hosts',
  partitionedBy: null,
  enums: { host_status: ['ONLINE', 'OFFLINE', 'DEGRADED'] },
  columns: {
    host_id: NEW_ID,
    hostname: notNull('text'),
    ip_address: nullable('inet'),
    platform: nullable('text'),
    agent_version: nullable('text'),
    last_seen: nullable('timestamp with time zone'),
    status: notNull('host_status', `'OFFLINE'::host_status`),
    created_at: NOW,
  },
  keys: ['PRIMARY KEY (host_id)', 'UNIQUE (hostname)'],
}

const ALERTS: TableShape = {
  table: 'alerts',
  migration: 'alerts',
  partitionedBy: 'RANGE (received_at)',
  enums: { tripwire_type: ['FILE', 'NETWORK', 'PROCESS'], severity_level: ['INFO', 'WARN', 'CRITICAL'] },
  columns: {
    alert_id: NEW_ID,
    host_id: notNull('uuid'),
    timestamp: notNull('timestamp with time zone'),
    tripwire_type: notNull('tripwire_type'),
    rule_name: notNull('text'),
    event_detail: nullable('jsonb'),
    severity: notNull('severity_level'),
    received_at: NOW,
  },
  keys: [],
}

const TRIPWIRE_RULES: TableShape = {
  table: 'tripwire_rules',
  migration: 'rules',
  partitionedBy: null,
  enums: {},
  columns: {
    rule_id: NEW_ID,
    host_id: nullable('uuid'),
    rule_type: notNull('tripwire_type'),
    target: notNull('text'),
    severity: notNull('severity_level', `'WARN'::severity_level`),
    enabled: notNull('boolean', 'true'),
    created_at: NOW,
    updated_at: NOW,
  },
  keys: ['PRIMARY KEY (rule_id)', 'FOREIGN KEY (host_id) REFERENCES hosts(host_id)'],
}

const AUDIT_ENTRIES: TableShape = {
  table: 'audit_entries',
  migration: 'audit',
  partitionedBy: null,
  enums: {},
  columns: {
    entry_id: NEW_ID,
    host_id: notNull('uuid'),
    sequence_num: notNull('bigint'),
    event_hash: notNull('character(64)'),
    prev_hash: notNull('character(64)', `repeat('0'::text, 64)`),
    payload: notNull('jsonb', `'{}'::jsonb`),
    created_at: NOW,
  },
  keys: [
    'PRIMARY KEY (entry_id)',
    'UNIQUE (host_id, sequence_num)',
    'FOREIGN KEY (host_id) REFERENCES hosts(host_id)',
  ],
}

/** In the order of their migrations. */
export const TABLE_SHAPES: readonly TableShape[] = [HOSTS, ALERTS, TRIPWIRE_RULES, AUDIT_ENTRIES]
