/** The indexes that migrations build on each partition of alerts while they hold their locks, unless they are there already. */

export interface WantedIndex {
  readonly columns: string
  readonly isUnique: boolean
  readonly where?: string
  /** As `pg_get_indexdef` prints it. */
  readonly definition: string
  /** What stands behind the name of the partition, where PostgreSQL does not choose the name. */
  readonly suffix?: string
}

function wanted(columns: string, severity?: 'WARN' | 'CRITICAL'): WantedIndex {
  if (severity === undefined) return { columns, isUnique: false, definition: `btree (${columns})` }
  return {
    columns,
    isUnique: false,
    where: `severity = '${severity}'`,
    definition: `btree (${columns}) WHERE (severity = '${severity}'::severity_level)`,
  }
}

/** Of alerts that were received long after they were sensed, or before. */
function skewed(columns: string): WantedIndex {
  return {
    columns,
    isUnique: false,
    where:
      `timezone('UTC', received_at) < greatest(timezone('UTC', timestamp), make_timestamp(1, 1, 1, 0, 0, 0)) - make_interval(mins => 5) ` +
      `OR timezone('UTC', received_at) > least(timezone('UTC', timestamp), make_timestamp(9999, 12, 31, 0, 0, 0)) + make_interval(hours => 1)`,
    definition:
      `btree (${columns.replace('timestamp', '"timestamp"')}) ` +
      `WHERE ((timezone('UTC'::text, received_at) < (GREATEST(timezone('UTC'::text, "timestamp"), make_timestamp(1, 1, 1, 0, 0, (0)::double precision)) - make_interval(mins => 5))) ` +
      `OR (timezone('UTC'::text, received_at) > (LEAST(timezone('UTC'::text, "timestamp"), make_timestamp(9999, 12, 31, 0, 0, (0)::double precision)) + make_interval(hours => 1))))`,
  }
}

/** In the order of the migration: where the columns are the same, it decides who gets which name. */
const OF_ALERT_KEYS: readonly WantedIndex[] = [
  wanted('received_at, alert_id'),
  wanted('host_id, received_at, alert_id'),
  wanted('received_at, alert_id', 'WARN'),
  wanted('received_at, alert_id', 'CRITICAL'),
  {
    columns: 'alert_id, host_id',
    isUnique: true,
    definition: 'btree (alert_id, host_id)',
    suffix: 'stored_once',
  },
]

const OF_ALERT_QUERIES: readonly WantedIndex[] = [
  wanted('received_at, alert_id, host_id, severity, tripwire_type'),
  wanted('host_id, received_at, alert_id, severity, tripwire_type'),
  wanted('rule_name, received_at, alert_id, host_id, severity, tripwire_type'),
  wanted('tripwire_type, received_at, alert_id, host_id, severity'),
  wanted('received_at, alert_id, host_id, tripwire_type', 'WARN'),
  wanted('received_at, alert_id, host_id, tripwire_type', 'CRITICAL'),
  wanted('host_id, received_at, alert_id, tripwire_type', 'WARN'),
  wanted('host_id, received_at, alert_id, tripwire_type', 'CRITICAL'),
  wanted('tripwire_type, received_at, alert_id, host_id', 'WARN'),
  wanted('tripwire_type, received_at, alert_id, host_id', 'CRITICAL'),
  skewed('timestamp, received_at, alert_id, host_id'),
  skewed('received_at, alert_id, host_id, timestamp'),
]

/** By the name of the migration, as its files have it. */
const WANTED_INDEXES: ReadonlyMap<string, readonly WantedIndex[]> = new Map([
  ['alert_keys', OF_ALERT_KEYS],
  ['alert_query_indexes', OF_ALERT_QUERIES],
])

/** What a migration would build on each partition; empty for most. */
export function wantedAlertIndexes(migration: string): readonly WantedIndex[] {
  return WANTED_INDEXES.get(migration) ?? []
}
