-- Generated from db/migrations by: npm run schema
-- The schema that all migrations give, the same on PostgreSQL 15 to 18. For reading and for review: a database is
-- made by the migrations, and `npm run check` fails when this file does not say what they give.

-- Enums

CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE', 'DEGRADED');

CREATE TYPE severity_level AS ENUM ('INFO', 'WARN', 'CRITICAL');

CREATE TYPE tripwire_type AS ENUM ('FILE', 'NETWORK', 'PROCESS');

-- Tables

CREATE TABLE alert_count_state (
    only_row boolean NOT NULL DEFAULT true,
    settled_through timestamp with time zone NOT NULL,
    marked_through timestamp with time zone NOT NULL,
    marked_by xid8,
    wait_for xid8
);

CREATE TABLE alert_dead_letters (
    dead_letter_id uuid NOT NULL DEFAULT gen_random_uuid(),
    alert_json bytea NOT NULL,
    alert_sha256 bytea NOT NULL GENERATED ALWAYS AS (sha256(alert_json)) STORED,
    alert_id uuid,
    host_id uuid,
    reason text NOT NULL,
    message text NOT NULL,
    sql_state text,
    column_name text,
    attempts integer NOT NULL DEFAULT 1,
    first_attempt_at timestamp with time zone NOT NULL DEFAULT now(),
    last_attempt_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE alert_hour_counts (
    hour timestamp with time zone NOT NULL,
    alerts bigint NOT NULL,
    severity severity_level NOT NULL,
    dimension text NOT NULL,
    value text NOT NULL
);

CREATE TABLE alert_journal (
    xid xid8 NOT NULL,
    oldest timestamp with time zone NOT NULL,
    newest timestamp with time zone NOT NULL,
    alerts bigint NOT NULL,
    written_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE alert_journal_state (
    only_row boolean NOT NULL DEFAULT true,
    identity text NOT NULL,
    begun_by xid8 NOT NULL,
    pruned_through xid8 NOT NULL,
    complete_since timestamp with time zone NOT NULL
);

CREATE TABLE alert_partition_retirements (
    retirement_id uuid NOT NULL DEFAULT gen_random_uuid(),
    partition_name text NOT NULL,
    range_from timestamp with time zone NOT NULL,
    range_to timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT now(),
    archive_file text,
    archive_rows bigint,
    content_sha256 bytea,
    dropped_at timestamp with time zone,
    cancelled_at timestamp with time zone
);

CREATE TABLE alerts (
    alert_id uuid NOT NULL DEFAULT gen_random_uuid(),
    host_id uuid NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    tripwire_type tripwire_type NOT NULL,
    rule_name text NOT NULL,
    event_detail jsonb,
    severity severity_level NOT NULL,
    received_at timestamp with time zone NOT NULL DEFAULT now()
) PARTITION BY RANGE (received_at);

CREATE TABLE audit_entries (
    entry_id uuid NOT NULL DEFAULT gen_random_uuid(),
    host_id uuid NOT NULL,
    sequence_num bigint NOT NULL,
    event_hash character(64) NOT NULL,
    prev_hash character(64) NOT NULL DEFAULT repeat('0'::text, 64),
    payload jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    hash_version smallint NOT NULL DEFAULT 0,
    row_hash character(64)
);

CREATE TABLE audit_prunings (
    pruning_id uuid NOT NULL DEFAULT gen_random_uuid(),
    host_id uuid NOT NULL,
    through_sequence bigint NOT NULL,
    through_event_hash character(64) NOT NULL,
    through_link_hash character(64) NOT NULL,
    through_created_at timestamp with time zone NOT NULL,
    manifest text NOT NULL,
    pruned_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE duplicate_alert_partitions (
    partition_name text NOT NULL,
    found_at timestamp with time zone NOT NULL
);

CREATE TABLE hosts (
    host_id uuid NOT NULL DEFAULT gen_random_uuid(),
    hostname text NOT NULL,
    ip_address inet,
    platform text,
    agent_version text,
    last_seen timestamp with time zone,
    status host_status NOT NULL DEFAULT 'OFFLINE'::host_status,
    created_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE maintenance_tasks (
    task text NOT NULL,
    last_run_at timestamp with time zone NOT NULL,
    last_success_at timestamp with time zone,
    last_error text,
    settings jsonb NOT NULL
);

CREATE TABLE restored_alert_partitions (
    partition_name text NOT NULL,
    content_sha256 bytea NOT NULL,
    restored_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE rolled_alert_hours (
    hour timestamp with time zone NOT NULL,
    partition_id oid NOT NULL,
    attached_by xid NOT NULL,
    stored_as oid NOT NULL
);

CREATE TABLE schema_compatibility (
    only_row boolean NOT NULL DEFAULT true,
    breaking_version bigint NOT NULL
);

CREATE TABLE schema_migrations (
    version bigint NOT NULL,
    dirty boolean NOT NULL
);

CREATE TABLE tripwire_rules (
    rule_id uuid NOT NULL DEFAULT gen_random_uuid(),
    host_id uuid,
    rule_type tripwire_type NOT NULL,
    target text NOT NULL,
    severity severity_level NOT NULL DEFAULT 'WARN'::severity_level,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    updated_at timestamp with time zone NOT NULL DEFAULT now()
);

-- Partitions

CREATE TABLE alerts_y2026m02 PARTITION OF alerts
    FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00');

-- Constraints

ALTER TABLE alert_count_state
    ADD CONSTRAINT alert_count_state_has_one_row CHECK (only_row);

ALTER TABLE alert_count_state
    ADD CONSTRAINT alert_count_state_pkey PRIMARY KEY (only_row);

ALTER TABLE alert_count_state
    ADD CONSTRAINT alert_count_state_settled_is_marked CHECK ((settled_through <= marked_through));

ALTER TABLE alert_dead_letters
    ADD CONSTRAINT alert_dead_letters_attempted CHECK ((attempts > 0));

ALTER TABLE alert_dead_letters
    ADD CONSTRAINT alert_dead_letters_pkey PRIMARY KEY (dead_letter_id);

ALTER TABLE alert_hour_counts
    ADD CONSTRAINT alert_hour_counts_dimension CHECK ((dimension = ANY (ARRAY['total'::text, 'type'::text, 'host'::text, 'rule'::text])));

ALTER TABLE alert_journal_state
    ADD CONSTRAINT alert_journal_state_has_one_row CHECK (only_row);

ALTER TABLE alert_journal_state
    ADD CONSTRAINT alert_journal_state_pkey PRIMARY KEY (only_row);

ALTER TABLE alert_partition_retirements
    ADD CONSTRAINT alert_partition_retirements_drop_archived CHECK (((dropped_at IS NULL) OR ((archive_file IS NOT NULL) AND (archive_rows IS NOT NULL) AND (content_sha256 IS NOT NULL))));

ALTER TABLE alert_partition_retirements
    ADD CONSTRAINT alert_partition_retirements_end_once CHECK (((dropped_at IS NULL) OR (cancelled_at IS NULL)));

ALTER TABLE alert_partition_retirements
    ADD CONSTRAINT alert_partition_retirements_pkey PRIMARY KEY (retirement_id);

ALTER TABLE audit_entries
    ADD CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id);

ALTER TABLE audit_entries
    ADD CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num);

ALTER TABLE audit_entries
    ADD CONSTRAINT fk_audit_host FOREIGN KEY (host_id) REFERENCES hosts(host_id);

ALTER TABLE audit_prunings
    ADD CONSTRAINT audit_prunings_host_fkey FOREIGN KEY (host_id) REFERENCES hosts(host_id);

ALTER TABLE audit_prunings
    ADD CONSTRAINT audit_prunings_manifest_is_short CHECK (((octet_length(manifest) >= 1) AND (octet_length(manifest) <= 8192)));

ALTER TABLE audit_prunings
    ADD CONSTRAINT audit_prunings_once UNIQUE (host_id, through_sequence);

ALTER TABLE audit_prunings
    ADD CONSTRAINT audit_prunings_pkey PRIMARY KEY (pruning_id);

ALTER TABLE duplicate_alert_partitions
    ADD CONSTRAINT duplicate_alert_partitions_pkey PRIMARY KEY (partition_name);

ALTER TABLE hosts
    ADD CONSTRAINT hosts_hostname_unique UNIQUE (hostname);

ALTER TABLE hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (host_id);

ALTER TABLE maintenance_tasks
    ADD CONSTRAINT maintenance_tasks_pkey PRIMARY KEY (task);

ALTER TABLE restored_alert_partitions
    ADD CONSTRAINT restored_alert_partitions_pkey PRIMARY KEY (partition_name);

ALTER TABLE rolled_alert_hours
    ADD CONSTRAINT rolled_alert_hours_pkey PRIMARY KEY (hour);

ALTER TABLE schema_compatibility
    ADD CONSTRAINT schema_compatibility_has_one_row CHECK (only_row);

ALTER TABLE schema_compatibility
    ADD CONSTRAINT schema_compatibility_pkey PRIMARY KEY (only_row);

ALTER TABLE schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE tripwire_rules
    ADD CONSTRAINT fk_rules_host FOREIGN KEY (host_id) REFERENCES hosts(host_id);

ALTER TABLE tripwire_rules
    ADD CONSTRAINT tripwire_rules_pkey PRIMARY KEY (rule_id);

-- Indexes

CREATE INDEX alert_dead_letters_first_attempt_idx ON alert_dead_letters USING btree (first_attempt_at, dead_letter_id);

CREATE UNIQUE INDEX alert_dead_letters_one_per_alert ON alert_dead_letters USING btree (alert_sha256, reason);

CREATE INDEX alert_hour_counts_dimension_hour ON alert_hour_counts USING btree (dimension, hour);

CREATE INDEX alert_journal_written_at ON alert_journal USING btree (written_at);

CREATE INDEX alert_journal_xid ON alert_journal USING btree (xid);

CREATE UNIQUE INDEX alert_partition_retirements_one_open ON alert_partition_retirements USING btree (partition_name) WHERE ((dropped_at IS NULL) AND (cancelled_at IS NULL));

CREATE INDEX alerts_critical_received_idx ON ONLY alerts USING btree (received_at, alert_id, host_id, tripwire_type) WHERE (severity = 'CRITICAL'::severity_level);

CREATE INDEX alerts_host_critical_received_idx ON ONLY alerts USING btree (host_id, received_at, alert_id, tripwire_type) WHERE (severity = 'CRITICAL'::severity_level);

CREATE INDEX alerts_host_received_idx ON ONLY alerts USING btree (host_id, received_at, alert_id, severity, tripwire_type);

CREATE INDEX alerts_host_warn_received_idx ON ONLY alerts USING btree (host_id, received_at, alert_id, tripwire_type) WHERE (severity = 'WARN'::severity_level);

CREATE INDEX alerts_received_idx ON ONLY alerts USING btree (received_at, alert_id, host_id, severity, tripwire_type);

CREATE INDEX alerts_rule_received_idx ON ONLY alerts USING btree (rule_name, received_at, alert_id, host_id, severity, tripwire_type);

CREATE INDEX alerts_skewed_received_idx ON ONLY alerts USING btree (received_at, alert_id, host_id, "timestamp") WHERE ((timezone('UTC'::text, received_at) < (GREATEST(timezone('UTC'::text, "timestamp"), make_timestamp(1, 1, 1, 0, 0, (0)::double precision)) - make_interval(mins => 5))) OR (timezone('UTC'::text, received_at) > (LEAST(timezone('UTC'::text, "timestamp"), make_timestamp(9999, 12, 31, 0, 0, (0)::double precision)) + make_interval(hours => 1))));

CREATE INDEX alerts_skewed_timestamp_idx ON ONLY alerts USING btree ("timestamp", received_at, alert_id, host_id) WHERE ((timezone('UTC'::text, received_at) < (GREATEST(timezone('UTC'::text, "timestamp"), make_timestamp(1, 1, 1, 0, 0, (0)::double precision)) - make_interval(mins => 5))) OR (timezone('UTC'::text, received_at) > (LEAST(timezone('UTC'::text, "timestamp"), make_timestamp(9999, 12, 31, 0, 0, (0)::double precision)) + make_interval(hours => 1))));

CREATE INDEX alerts_type_critical_received_idx ON ONLY alerts USING btree (tripwire_type, received_at, alert_id, host_id) WHERE (severity = 'CRITICAL'::severity_level);

CREATE INDEX alerts_type_received_idx ON ONLY alerts USING btree (tripwire_type, received_at, alert_id, host_id, severity);

CREATE INDEX alerts_type_warn_received_idx ON ONLY alerts USING btree (tripwire_type, received_at, alert_id, host_id) WHERE (severity = 'WARN'::severity_level);

CREATE INDEX alerts_warn_received_idx ON ONLY alerts USING btree (received_at, alert_id, host_id, tripwire_type) WHERE (severity = 'WARN'::severity_level);

CREATE INDEX alerts_y2026m02_host_id_received_at_alert_id_severity_tripw_idx ON alerts_y2026m02 USING btree (host_id, received_at, alert_id, severity, tripwire_type);
ALTER INDEX alerts_host_received_idx ATTACH PARTITION alerts_y2026m02_host_id_received_at_alert_id_severity_tripw_idx;

CREATE INDEX alerts_y2026m02_host_id_received_at_alert_id_tripwire_type_idx ON alerts_y2026m02 USING btree (host_id, received_at, alert_id, tripwire_type) WHERE (severity = 'WARN'::severity_level);
ALTER INDEX alerts_host_warn_received_idx ATTACH PARTITION alerts_y2026m02_host_id_received_at_alert_id_tripwire_type_idx;

CREATE INDEX alerts_y2026m02_host_id_received_at_alert_id_tripwire_type_idx1 ON alerts_y2026m02 USING btree (host_id, received_at, alert_id, tripwire_type) WHERE (severity = 'CRITICAL'::severity_level);
ALTER INDEX alerts_host_critical_received_idx ATTACH PARTITION alerts_y2026m02_host_id_received_at_alert_id_tripwire_type_idx1;

CREATE INDEX alerts_y2026m02_received_at_alert_id_host_id_severity_tripw_idx ON alerts_y2026m02 USING btree (received_at, alert_id, host_id, severity, tripwire_type);
ALTER INDEX alerts_received_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_host_id_severity_tripw_idx;

CREATE INDEX alerts_y2026m02_received_at_alert_id_host_id_timestamp_idx ON alerts_y2026m02 USING btree (received_at, alert_id, host_id, "timestamp") WHERE ((timezone('UTC'::text, received_at) < (GREATEST(timezone('UTC'::text, "timestamp"), make_timestamp(1, 1, 1, 0, 0, (0)::double precision)) - make_interval(mins => 5))) OR (timezone('UTC'::text, received_at) > (LEAST(timezone('UTC'::text, "timestamp"), make_timestamp(9999, 12, 31, 0, 0, (0)::double precision)) + make_interval(hours => 1))));
ALTER INDEX alerts_skewed_received_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_host_id_timestamp_idx;

CREATE INDEX alerts_y2026m02_received_at_alert_id_host_id_tripwire_type_idx ON alerts_y2026m02 USING btree (received_at, alert_id, host_id, tripwire_type) WHERE (severity = 'WARN'::severity_level);
ALTER INDEX alerts_warn_received_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_host_id_tripwire_type_idx;

CREATE INDEX alerts_y2026m02_received_at_alert_id_host_id_tripwire_type_idx1 ON alerts_y2026m02 USING btree (received_at, alert_id, host_id, tripwire_type) WHERE (severity = 'CRITICAL'::severity_level);
ALTER INDEX alerts_critical_received_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_host_id_tripwire_type_idx1;

CREATE INDEX alerts_y2026m02_rule_name_received_at_alert_id_host_id_seve_idx ON alerts_y2026m02 USING btree (rule_name, received_at, alert_id, host_id, severity, tripwire_type);
ALTER INDEX alerts_rule_received_idx ATTACH PARTITION alerts_y2026m02_rule_name_received_at_alert_id_host_id_seve_idx;

CREATE UNIQUE INDEX alerts_y2026m02_stored_once ON alerts_y2026m02 USING btree (alert_id, host_id);

CREATE INDEX alerts_y2026m02_timestamp_received_at_alert_id_host_id_idx ON alerts_y2026m02 USING btree ("timestamp", received_at, alert_id, host_id) WHERE ((timezone('UTC'::text, received_at) < (GREATEST(timezone('UTC'::text, "timestamp"), make_timestamp(1, 1, 1, 0, 0, (0)::double precision)) - make_interval(mins => 5))) OR (timezone('UTC'::text, received_at) > (LEAST(timezone('UTC'::text, "timestamp"), make_timestamp(9999, 12, 31, 0, 0, (0)::double precision)) + make_interval(hours => 1))));
ALTER INDEX alerts_skewed_timestamp_idx ATTACH PARTITION alerts_y2026m02_timestamp_received_at_alert_id_host_id_idx;

CREATE INDEX alerts_y2026m02_tripwire_type_received_at_alert_id_host_id__idx ON alerts_y2026m02 USING btree (tripwire_type, received_at, alert_id, host_id, severity);
ALTER INDEX alerts_type_received_idx ATTACH PARTITION alerts_y2026m02_tripwire_type_received_at_alert_id_host_id__idx;

CREATE INDEX alerts_y2026m02_tripwire_type_received_at_alert_id_host_id_idx ON alerts_y2026m02 USING btree (tripwire_type, received_at, alert_id, host_id) WHERE (severity = 'WARN'::severity_level);
ALTER INDEX alerts_type_warn_received_idx ATTACH PARTITION alerts_y2026m02_tripwire_type_received_at_alert_id_host_id_idx;

CREATE INDEX alerts_y2026m02_tripwire_type_received_at_alert_id_host_id_idx1 ON alerts_y2026m02 USING btree (tripwire_type, received_at, alert_id, host_id) WHERE (severity = 'CRITICAL'::severity_level);
ALTER INDEX alerts_type_critical_received_idx ATTACH PARTITION alerts_y2026m02_tripwire_type_received_at_alert_id_host_id_idx1;

CREATE INDEX idx_rules_host_id ON tripwire_rules USING btree (host_id);

-- Functions

CREATE OR REPLACE FUNCTION add_alert_triggers(p_table regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
DECLARE
    v_trigger RECORD;
BEGIN
    FOR v_trigger IN
        SELECT *
        FROM alert_triggers()
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE OR REPLACE TRIGGER %I
                AFTER %s ON %s
                REFERENCING %s
                FOR EACH STATEMENT
                EXECUTE FUNCTION %I()',
            v_trigger.name,
            v_trigger.event,
            p_table,
            v_trigger.transition_tables,
            v_trigger.function
        );
    END LOOP;
END
$function$;

CREATE OR REPLACE FUNCTION alert_journal_identity()
 RETURNS text
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    v_cluster TEXT := '0';
BEGIN
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        v_cluster := (SELECT system_identifier FROM pg_control_system());
    END IF;
    -- No concat_ws: of a function that takes any values, somebody else could make one that fits better.
    RETURN v_cluster
        || '.' || (SELECT oid::text FROM pg_database WHERE datname = current_database())
        || '.' || 'alert_journal'::regclass::oid::text;
END
$function$;
REVOKE EXECUTE ON ROUTINE alert_journal_identity() FROM PUBLIC;

CREATE OR REPLACE FUNCTION alert_month_bounds(p_moment timestamp with time zone, OUT partition_name text, OUT range_from timestamp with time zone, OUT range_to timestamp with time zone)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT
        to_char(month, '"alerts_y"YYYY"m"MM'),
        month AT TIME ZONE 'UTC',
        (month + INTERVAL '1 month') AT TIME ZONE 'UTC'
    FROM (SELECT date_trunc('month', p_moment AT TIME ZONE 'UTC') AS month) AS months
$function$;

CREATE OR REPLACE FUNCTION alert_partition_has_triggers(p_partition regclass)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT count(*) = (SELECT count(*) FROM alert_triggers())
    FROM pg_trigger
    JOIN alert_triggers() AS ours
        ON ours.name = tgname
    WHERE tgrelid = p_partition
$function$;

CREATE OR REPLACE FUNCTION alert_partition_has_unique_index(p_partition regclass)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT EXISTS (
        SELECT
        FROM pg_index
        WHERE indrelid = p_partition
            AND indisunique
            AND indisvalid
            AND indpred IS NULL
            AND pg_get_indexdef(indexrelid) LIKE '%(alert_id, host_id)'
    )
$function$;

CREATE OR REPLACE FUNCTION alert_partition_is_complete(p_partition regclass)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT alert_partition_has_unique_index(p_partition) AND alert_partition_has_triggers(p_partition)
$function$;

CREATE OR REPLACE FUNCTION alert_triggers()
 RETURNS TABLE(name text, event text, transition_tables text, function text)
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    VALUES
        ('alerts_check_hosts_on_insert', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_check_hosts'),
        ('alerts_check_hosts_on_update', 'UPDATE', 'NEW TABLE AS written_alerts', 'alerts_check_hosts'),
        ('alerts_check_resends', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_check_resends'),
        ('alerts_count_inserted', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_count_changes'),
        ('alerts_count_updated', 'UPDATE', 'NEW TABLE AS written_alerts OLD TABLE AS removed_alerts', 'alerts_count_changes'),
        ('alerts_count_deleted', 'DELETE', 'OLD TABLE AS removed_alerts', 'alerts_count_changes'),
        ('alerts_write_journal_on_insert', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_write_journal'),
        ('alerts_write_journal_on_update', 'UPDATE', 'NEW TABLE AS written_alerts', 'alerts_write_journal')
$function$;

CREATE OR REPLACE FUNCTION alerts_are_counted(p_table regclass)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT NOT EXISTS (
        SELECT
        FROM (
            SELECT ours.name
            FROM alert_triggers() AS ours
            WHERE ours.function = 'alerts_count_changes'
            UNION ALL
            SELECT 'alerts_keep_partition'
        ) AS needed
        LEFT JOIN pg_trigger
            ON tgrelid = p_table
            AND tgname = needed.name
            AND tgenabled IN ('O', 'A')
        WHERE pg_trigger.oid IS NULL
    )
$function$;

CREATE OR REPLACE FUNCTION alerts_check_hosts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    v_unknown_host UUID;
BEGIN
    -- With an older snapshot than this moment's, only a lock tells whether a host is still there.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM
        FROM hosts
        WHERE host_id IN (SELECT host_id FROM written_alerts)
        ORDER BY host_id
        FOR KEY SHARE;
    END IF;

    SELECT written.host_id
    INTO v_unknown_host
    FROM (SELECT DISTINCT host_id FROM written_alerts) AS written
    WHERE NOT EXISTS (
        SELECT
        FROM hosts
        WHERE hosts.host_id = written.host_id
    )
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'alerts: there is no host %', v_unknown_host
            USING ERRCODE = 'foreign_key_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = 'host_id',
                  CONSTRAINT = 'alerts_host_is_registered';
    END IF;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE alerts_check_hosts() FROM PUBLIC;

CREATE OR REPLACE FUNCTION alerts_check_resends()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    c_window CONSTANT INTERVAL := INTERVAL '7 days';
    c_edge   CONSTANT INTERVAL := INTERVAL '10 minutes';
    v_oldest TIMESTAMPTZ;
    v_newest TIMESTAMPTZ;
    v_month  TIMESTAMPTZ;
    v_other  REGCLASS;
    v_is_resent BOOLEAN;
BEGIN
    SELECT min(received_at), max(received_at)
    INTO v_oldest, v_newest
    FROM written_alerts;

    -- Only a partition without bounds takes such a moment, and it has no neighbour to look into.
    IF NOT isfinite(v_oldest) OR NOT isfinite(v_newest) THEN
        RETURN NULL;
    END IF;

    v_month := date_trunc('month', v_newest, 'UTC');
    IF v_oldest - c_window >= v_month
        AND v_newest + c_window < v_month + INTERVAL '1 month'
        AND clock_timestamp() < v_month + INTERVAL '1 month'
    THEN
        RETURN NULL;
    END IF;

    -- A batch that holds older alerts as well has no part in this: it would only get in the way of others like it.
    IF v_newest < v_month + c_edge AND v_newest > clock_timestamp() - c_edge THEN
        v_other := find_alert_partition(v_month - INTERVAL '1 microsecond');
        IF v_other IS NOT NULL THEN
            BEGIN
                EXECUTE format('LOCK TABLE %s IN SHARE MODE', v_other);
            EXCEPTION
                -- The partition belongs to another role. That must not stop the ingest; doctor says so.
                WHEN insufficient_privilege THEN
                    NULL;
            END;
        END IF;
    END IF;

    -- Partition by partition, and each through its unique index: OFFSET 0 keeps the planner, which knows nothing of a
    -- young partition, from preferring an index that would read all alerts of a host.
    FOR v_other IN
        SELECT find_alert_partition(month AT TIME ZONE 'UTC')
        FROM generate_series(
            date_trunc('month', (v_oldest - c_window) AT TIME ZONE 'UTC'),
            (v_newest + c_window) AT TIME ZONE 'UTC',
            INTERVAL '1 month'
        ) AS month
        WHERE month <> v_month AT TIME ZONE 'UTC'
            OR v_oldest < v_month
    LOOP
        -- One that belongs to another role is not asked: what that role made, its policies and expressions, would run with the rights
        -- of the owner of this function. That must not stop the ingest; doctor says so.
        CONTINUE WHEN v_other IS NULL
            OR NOT has_table_privilege(v_other, 'SELECT')
            OR (SELECT relowner FROM pg_class WHERE oid = v_other) <> (SELECT relowner FROM pg_class WHERE oid = 'alerts'::regclass);
        EXECUTE format(
            'SELECT EXISTS (
                SELECT
                FROM written_alerts AS written
                CROSS JOIN LATERAL (
                    SELECT found.received_at
                    FROM %s AS found
                    WHERE found.alert_id = written.alert_id
                        AND found.host_id = written.host_id
                    OFFSET 0
                ) AS other
                WHERE other.received_at >= written.received_at - $1
                    AND other.received_at < written.received_at + $1
                    AND date_trunc(''month'', other.received_at, ''UTC'')
                        <> date_trunc(''month'', written.received_at, ''UTC'')
            )',
            v_other
        )
        INTO v_is_resent
        USING c_window;
        CONTINUE WHEN NOT v_is_resent;

        RAISE EXCEPTION 'alerts: an alert stands in an earlier or later month already'
            USING ERRCODE = 'unique_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'alerts_stored_once';
    END LOOP;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE alerts_check_resends() FROM PUBLIC;

CREATE OR REPLACE FUNCTION alerts_count_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    v_through TIMESTAMPTZ;
BEGIN
    -- A month that is no partition has no part in the counts. This asks the catalogue as it is now, whatever the snapshot.
    IF pg_catalog.pg_partition_root(TG_RELID::regclass)::oid IS DISTINCT FROM 'alerts'::regclass::oid THEN
        RETURN NULL;
    END IF;

    -- With an older snapshot than this moment's, the mark may be set and not be seen: then everything is added.
    IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
        SELECT marked_through
        INTO v_through
        FROM alert_count_state;
    END IF;
    v_through := coalesce(v_through, 'infinity');

    IF TG_OP = 'INSERT' THEN
        -- What nearly every statement comes to.
        IF NOT EXISTS (SELECT FROM written_alerts WHERE received_at < v_through) THEN
            RETURN NULL;
        END IF;
    END IF;

    -- A total stays also where it is 0: by the totals the maintenance finds what to merge.
    EXECUTE
        'INSERT INTO alert_hour_counts (hour, alerts, severity, dimension, value)
        SELECT
            changed.hour,
            sum(changed.alerts),
            changed.severity,
            counted.dimension,
            counted.value
        FROM (
            SELECT
                date_trunc(''hour'', received_at, ''UTC'') AS hour,
                severity,
                tripwire_type,
                host_id,
                rule_name,
                sum(change) AS alerts
            FROM ('
        || CASE TG_OP
            WHEN 'INSERT' THEN 'SELECT 1 AS change, received_at, severity, tripwire_type, host_id, rule_name FROM written_alerts'
            WHEN 'DELETE' THEN 'SELECT -1 AS change, received_at, severity, tripwire_type, host_id, rule_name FROM removed_alerts'
            ELSE
                'SELECT 1 AS change, received_at, severity, tripwire_type, host_id, rule_name FROM written_alerts
                UNION ALL
                SELECT -1, received_at, severity, tripwire_type, host_id, rule_name FROM removed_alerts'
        END
        || ') AS alert
            WHERE received_at < $1
            GROUP BY 1, severity, tripwire_type, host_id, rule_name
        ) AS changed
        CROSS JOIN LATERAL (
            VALUES
                (''total'', ''''),
                (''type'', changed.tripwire_type::text),
                (''host'', changed.host_id::text),
                (''rule'', changed.rule_name)
        ) AS counted (dimension, value)
        GROUP BY changed.hour, changed.severity, counted.dimension, counted.value
        HAVING sum(changed.alerts) <> 0 OR counted.dimension = ''total'''
    USING v_through;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE alerts_count_changes() FROM PUBLIC;

CREATE OR REPLACE FUNCTION alerts_keep_partition()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    v_bounds CONSTANT TEXT := pg_catalog.pg_get_partition_constraintdef(TG_RELID);
    v_stays  BOOLEAN;
BEGIN
    IF v_bounds IS NULL THEN
        RETURN NEW;
    END IF;

    EXECUTE 'SELECT ' || v_bounds || ' FROM (SELECT ($1).*) AS alert'
    INTO v_stays
    USING NEW;
    IF v_stays THEN
        RETURN NEW;
    END IF;

    RAISE EXCEPTION 'alerts: received_at cannot be changed to %, which another partition holds', NEW.received_at
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'received_at',
              CONSTRAINT = 'alerts_keep_partition',
              HINT = 'delete the alert, and insert it anew, in one statement';
END
$function$;

CREATE OR REPLACE FUNCTION alerts_write_journal()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    c_hour   CONSTANT INTERVAL    := INTERVAL '1 hour';
    c_origin CONSTANT TIMESTAMPTZ := '2000-01-01 00:00:00+00';
    v_oldest TIMESTAMPTZ;
    v_newest TIMESTAMPTZ;
    v_alerts BIGINT;
BEGIN
    -- What is written to a month that is detached belongs to no tail, also when the month is attached later.
    IF pg_partition_root(TG_RELID) IS DISTINCT FROM 'alerts'::regclass THEN
        RETURN NULL;
    END IF;

    SELECT min(received_at), max(received_at), count(*)
    INTO v_oldest, v_newest, v_alerts
    FROM written_alerts;

    IF v_alerts = 0 THEN
        RETURN NULL;
    END IF;

    IF date_bin(c_hour, v_oldest, c_origin) = date_bin(c_hour, v_newest, c_origin) THEN
        INSERT INTO alert_journal (xid, oldest, newest, alerts)
        VALUES (pg_current_xact_id(), v_oldest, v_newest, v_alerts);
    ELSE
        -- A late alert must not make the reader look through all that came since.
        INSERT INTO alert_journal (xid, oldest, newest, alerts)
        SELECT pg_current_xact_id(), min(received_at), max(received_at), count(*)
        FROM written_alerts
        GROUP BY date_bin(c_hour, received_at, c_origin);
    END IF;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE alerts_write_journal() FROM PUBLIC;

CREATE OR REPLACE FUNCTION audit_entries_continue_chain()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    v_refused RECORD;
BEGIN
    SELECT
        written.host_id,
        written.sequence_num,
        checked.problem,
        checked.rule
    INTO v_refused
    FROM written_entries AS written
    LEFT JOIN audit_entries AS previous
        ON previous.host_id = written.host_id
        AND previous.sequence_num = written.sequence_num - 1
    LEFT JOIN audit_prunings AS pruned
        ON pruned.host_id = written.host_id
        AND pruned.through_sequence = written.sequence_num - 1
    CROSS JOIN LATERAL (
        VALUES
            (
                written.prev_hash IS DISTINCT FROM coalesce(
                    previous.event_hash,
                    pruned.through_event_hash,
                    CASE WHEN written.sequence_num = 1 THEN repeat('0', 64) END
                )
                OR EXISTS (
                    SELECT
                    FROM audit_prunings AS later
                    WHERE later.host_id = written.host_id
                        AND later.through_sequence >= written.sequence_num
                ),
                'does not continue the chain',
                'its number must follow, and its prev_hash must be the event_hash of the entry before'
            ),
            (
                written.hash_version NOT IN (0, 1),
                'has a hash_version that does not exist',
                'hash_version must be 1, or 0 where nothing before it is protected'
            ),
            (
                written.hash_version = 0 AND (previous.hash_version > 0 OR pruned.pruning_id IS NOT NULL),
                'is not protected, after one that is',
                'hash_version must be 1 after an entry of version 1, and after a pruning'
            ),
            (
                written.hash_version = 0 AND written.row_hash IS NOT NULL,
                'has a row_hash in version 0',
                'row_hash must be NULL where hash_version is 0'
            ),
            (
                written.event_hash !~ '^[0-9a-f]{64}$' OR written.row_hash !~ '^[0-9a-f]{64}$',
                'has a hash that is none',
                'event_hash and row_hash must be 64 lower-case hexadecimal digits, or row_hash NULL'
            ),
            (
                NOT isfinite(written.created_at)
                OR written.created_at < TIMESTAMPTZ '0001-01-01 00:00:00+00'
                OR written.created_at > greatest(
                    clock_timestamp() + INTERVAL '31 days',
                    previous.created_at,
                    pruned.through_created_at
                ),
                'has a time that cannot be',
                'created_at must be finite, in the years of our era, and 31 days ahead of now at the most'
            )
    ) AS checked (is_refused, problem, rule)
    WHERE checked.is_refused
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'audit_entries: entry % of host % %', v_refused.sequence_num, v_refused.host_id, v_refused.problem
            USING ERRCODE = 'check_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_entries_continue_chain',
                  HINT = v_refused.rule;
    END IF;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE audit_entries_continue_chain() FROM PUBLIC;

CREATE OR REPLACE FUNCTION audit_refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION '%: % is refused, the audit log is append-only', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              CONSTRAINT = 'audit_append_only';
END
$function$;

CREATE OR REPLACE FUNCTION audit_refuse_delete()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF EXISTS (
        SELECT
        FROM deleted_entries AS deleted
        WHERE NOT EXISTS (
            SELECT
            FROM audit_prunings AS pruning
            WHERE pruning.host_id = deleted.host_id
                AND pruning.through_sequence >= deleted.sequence_num
        )
    ) THEN
        RAISE EXCEPTION '%: DELETE is refused, the audit log is append-only', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_append_only',
                  HINT = 'a prefix that was exported leaves with: tripwire-storage audit prune';
    END IF;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE audit_refuse_delete() FROM PUBLIC;

CREATE OR REPLACE FUNCTION close_alert_hours(p_partition oid, p_hours timestamp with time zone[])
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
DECLARE
    v_closed INTEGER;
BEGIN
    -- Locked first, so that it is still countable, and the same owner's, when it is read.
    EXECUTE 'LOCK TABLE ' || p_partition::regclass || ' IN ACCESS SHARE MODE';
    IF NOT EXISTS (SELECT FROM list_countable_alert_partitions() AS countable WHERE countable.partition_id = p_partition) THEN
        RETURN 0;
    END IF;

    EXECUTE pg_catalog.format(
        'WITH replaced AS (
            DELETE FROM alert_hour_counts
            WHERE dimension IN (''total'', ''type'', ''host'', ''rule'')
                AND hour BETWEEN $2 AND $3
                AND hour = ANY ($1)
        ),
        counted AS (
            INSERT INTO alert_hour_counts (hour, alerts, severity, dimension, value)
            SELECT
                found.hour,
                count(*),
                found.severity,
                CASE GROUPING(found.tripwire_type, found.host_id, found.rule_name)
                    WHEN 3 THEN ''type''
                    WHEN 5 THEN ''host''
                    WHEN 6 THEN ''rule''
                    ELSE ''total''
                END,
                coalesce(found.tripwire_type::text, found.host_id::text, found.rule_name, '''')
            FROM (
                SELECT date_trunc(''hour'', received_at, ''UTC'') AS hour, severity, tripwire_type, host_id, rule_name
                FROM %s
                WHERE received_at >= $2
                    AND received_at < $3 + INTERVAL ''1 hour''
            ) AS found
            WHERE found.hour = ANY ($1)
            GROUP BY found.hour, found.severity, GROUPING SETS ((), (found.tripwire_type), (found.host_id), (found.rule_name))
        ),
        closed AS (
            INSERT INTO rolled_alert_hours (hour, partition_id, attached_by, stored_as)
            SELECT hours.hour, countable.partition_id, countable.attached_by, countable.stored_as
            FROM list_countable_alert_partitions() AS countable
            CROSS JOIN pg_catalog.unnest($1) AS hours (hour)
            WHERE countable.partition_id = $4
            ON CONFLICT (hour) DO UPDATE
            SET
                partition_id = EXCLUDED.partition_id,
                attached_by = EXCLUDED.attached_by,
                stored_as = EXCLUDED.stored_as
            RETURNING hour
        )
        SELECT count(*)
        FROM closed',
        p_partition::regclass
    )
    INTO v_closed
    USING
        p_hours,
        (SELECT min(hour) FROM pg_catalog.unnest(p_hours) AS hours (hour)),
        (SELECT max(hour) FROM pg_catalog.unnest(p_hours) AS hours (hour)),
        p_partition;
    RETURN v_closed;
END
$function$;

CREATE OR REPLACE FUNCTION complete_alert_partition(p_partition regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
DECLARE
    v_name NAME := (SELECT relname FROM pg_class WHERE oid = p_partition);
BEGIN
    IF NOT alert_partition_has_triggers(p_partition) THEN
        PERFORM add_alert_triggers(p_partition);
    END IF;

    -- The name may be that of another table's index: one that was renamed after it was detached keeps the names of its indexes.
    IF NOT alert_partition_is_complete(p_partition) THEN
        EXECUTE format(
            'CREATE UNIQUE INDEX %s ON %s (alert_id, host_id)',
            CASE WHEN to_regclass(quote_ident(v_name || '_stored_once')) IS NULL THEN quote_ident(v_name || '_stored_once') END,
            p_partition
        );
    END IF;
EXCEPTION
    WHEN unique_violation THEN
        RAISE WARNING '% holds alerts twice, so it has no unique index and cannot refuse resends', p_partition;
END
$function$;

CREATE OR REPLACE FUNCTION ensure_alert_month_ahead(p_ahead integer, p_attempts integer DEFAULT 5, OUT partition_name text, OUT range_from timestamp with time zone, OUT range_to timestamp with time zone, OUT made boolean, OUT problem_state text, OUT problem text)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
 SET lock_timeout TO '1s'
AS $function$
BEGIN
    IF p_ahead IS NULL OR p_ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'alerts: expected 0 to 120 months ahead, got %', p_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT bounds.*
    INTO partition_name, range_from, range_to
    FROM alert_month_bounds(
        (date_trunc('month', now() AT TIME ZONE 'UTC') + p_ahead * INTERVAL '1 month') AT TIME ZONE 'UTC'
    ) AS bounds;

    made := false;
    FOR v_attempt IN 1..p_attempts LOOP
        BEGIN
            problem_state := NULL;
            problem := NULL;
            made := make_alert_partition(range_from) IS NOT NULL;
            RETURN;
        EXCEPTION
            WHEN lock_not_available OR deadlock_detected THEN
                problem_state := SQLSTATE;
                problem := SQLERRM;
            WHEN OTHERS THEN
                problem_state := SQLSTATE;
                problem := SQLERRM;
                EXIT;
        END;
        PERFORM pg_sleep(0.2 * v_attempt * random())
        WHERE v_attempt < p_attempts;
    END LOOP;
    RAISE WARNING 'alerts: % was not made: %', partition_name, problem
        USING ERRCODE = problem_state;
END
$function$;
REVOKE EXECUTE ON ROUTINE ensure_alert_month_ahead(integer, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION ensure_alert_partition(p_moment timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
 SET lock_timeout TO '1s'
AS $function$
DECLARE
    -- A larger one is completed by the maintenance, CONCURRENTLY: an index is built on this much in a moment.
    c_small   CONSTANT BIGINT   := 1048576;
    v_present CONSTANT REGCLASS := find_alert_partition(p_moment);
BEGIN
    IF v_present IS NOT NULL THEN
        IF NOT alert_partition_is_complete(v_present) AND pg_table_size(v_present) <= c_small THEN
            BEGIN
                LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE;
                PERFORM complete_alert_partition(v_present);
            EXCEPTION
                -- The month is there, which is what was asked for. The maintenance completes it.
                WHEN lock_not_available OR insufficient_privilege OR wrong_object_type THEN
                    NULL;
            END;
        END IF;
        RETURN NULL;
    END IF;

    -- A garbage date must not make a partition: nothing is received before 2000, or much later than now.
    IF p_moment IS NULL
        OR p_moment < '2000-01-01 00:00:00+00'
        OR p_moment > now() + INTERVAL '31 days'
    THEN
        RAISE EXCEPTION 'alerts: no partition is made for %', p_moment
            USING ERRCODE = 'datetime_field_overflow',
                  COLUMN = 'received_at',
                  TABLE = 'alerts';
    END IF;
    RETURN make_alert_partition(p_moment);
END
$function$;
REVOKE EXECUTE ON ROUTINE ensure_alert_partition(timestamp with time zone) FROM PUBLIC;

CREATE OR REPLACE FUNCTION ensure_alert_partitions(p_months_ahead integer DEFAULT 3)
 RETURNS TABLE(partition_name text, range_from timestamp with time zone, range_to timestamp with time zone, made boolean, problem_state text, problem text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
 SET lock_timeout TO '1s'
AS $function$
#variable_conflict use_column
DECLARE
    c_attempts CONSTANT INTEGER := 5;
    v_attempts INTEGER := c_attempts;
    v_problems TEXT;
BEGIN
    IF p_months_ahead IS NULL OR p_months_ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'ensure_alert_partitions: expected 0 to 120 months ahead, got %', p_months_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- On a replica the months arrive by themselves.
    IF pg_is_in_recovery() THEN
        RETURN;
    END IF;

    FOR v_ahead IN 0..p_months_ahead LOOP
        SELECT month.*
        INTO partition_name, range_from, range_to, made, problem_state, problem
        FROM ensure_alert_month_ahead(v_ahead, v_attempts) AS month;
        RETURN NEXT;
        -- A month that was made keeps its locks until the end of all: from then on there is no waiting for others.
        IF made THEN
            v_attempts := 1;
        END IF;
        IF problem IS NOT NULL THEN
            v_problems := concat_ws('; ', v_problems, partition_name || ': ' || problem);
        END IF;
    END LOOP;

    BEGIN
        PERFORM record_maintenance(
            'ensure_partitions',
            v_problems,
            jsonb_build_object('monthsAhead', p_months_ahead)
        );
    EXCEPTION
        -- Another one has just written the same.
        WHEN lock_not_available THEN
            NULL;
    END;
END
$function$;
REVOKE EXECUTE ON ROUTINE ensure_alert_partitions(integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION expire_alert_tails()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
BEGIN
    LOCK TABLE alert_journal_state IN SHARE ROW EXCLUSIVE MODE;
    UPDATE alert_journal_state
    SET identity = 'expired';
    PERFORM renew_alert_journal();
END
$function$;
REVOKE EXECUTE ON ROUTINE expire_alert_tails() FROM PUBLIC;

CREATE OR REPLACE FUNCTION find_alert_partition(p_moment timestamp with time zone)
 RETURNS regclass
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT partition.oid::regclass
    FROM pg_inherits
    JOIN pg_class AS partition
        ON partition.oid = pg_inherits.inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_get_expr(partition.relpartbound, partition.oid),
        'FROM \((MINVALUE|''[^'']*'')\) TO \((MAXVALUE|''[^'']*'')\)'
    ) AS bounds
    WHERE pg_inherits.inhparent = 'alerts'::regclass
        AND (bounds[1] = 'MINVALUE' OR p_moment >= trim(bounds[1], '''')::timestamptz)
        AND (bounds[2] = 'MAXVALUE' OR p_moment < trim(bounds[2], '''')::timestamptz)
$function$;

CREATE OR REPLACE FUNCTION forget_gone_alert_hours(p_max_hours integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    WITH gone AS (
        DELETE FROM rolled_alert_hours
        WHERE hour IN (
            SELECT rolled.hour
            FROM rolled_alert_hours AS rolled
            WHERE NOT EXISTS (
                SELECT
                FROM list_closed_alert_hours('-infinity', 'infinity') AS closed
                WHERE closed.hour = rolled.hour
            )
            ORDER BY rolled.hour
            LIMIT p_max_hours
        )
        RETURNING hour
    ),
    removed AS (
        DELETE FROM alert_hour_counts
        WHERE dimension IN ('total', 'type', 'host', 'rule')
            AND hour IN (SELECT hour FROM gone)
    )
    SELECT count(*)::integer
    FROM gone
$function$;

CREATE OR REPLACE FUNCTION hosts_keep_alerts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
DECLARE
    v_needed_host UUID;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'hosts: a host can only be deleted at READ COMMITTED'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'with an older snapshot, its newest alerts would not be seen';
    END IF;

    LOCK TABLE alerts IN SHARE MODE;

    SELECT removed.host_id
    INTO v_needed_host
    FROM removed_hosts AS removed
    WHERE NOT EXISTS (SELECT FROM hosts WHERE hosts.host_id = removed.host_id)
        AND EXISTS (SELECT FROM alerts WHERE alerts.host_id = removed.host_id)
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'hosts: alerts still belong to host %', v_needed_host
            USING ERRCODE = 'foreign_key_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = 'host_id',
                  CONSTRAINT = 'alerts_host_is_registered';
    END IF;
    RETURN NULL;
END
$function$;
REVOKE EXECUTE ON ROUTINE hosts_keep_alerts() FROM PUBLIC;

CREATE OR REPLACE FUNCTION hosts_keep_identity()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'hosts: a host_id cannot be changed'
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'host_id',
              CONSTRAINT = 'hosts_keep_identity';
END
$function$;

CREATE OR REPLACE FUNCTION hosts_refuse_truncate()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'hosts: TRUNCATE would leave alerts without their hosts'
        USING ERRCODE = 'restrict_violation',
              HINT = 'use DELETE';
END
$function$;

CREATE OR REPLACE FUNCTION list_alert_partitions()
 RETURNS TABLE(partition_name text, state text, is_default boolean, is_table boolean, range_from timestamp with time zone, range_to timestamp with time zone, is_month boolean, is_complete boolean, index_count integer, row_estimate bigint, total_bytes bigint, restored_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    WITH attached AS (
        SELECT
            partition.oid,
            CASE WHEN pg_inherits.inhdetachpending THEN 'detaching' ELSE 'attached' END AS state,
            bounds IS NULL AS is_default,
            CASE bounds[1]
                WHEN 'MINVALUE' THEN '-infinity'
                ELSE trim(bounds[1], '''')::timestamptz
            END AS range_from,
            CASE bounds[2]
                WHEN 'MAXVALUE' THEN 'infinity'
                ELSE trim(bounds[2], '''')::timestamptz
            END AS range_to
        FROM pg_inherits
        JOIN pg_class AS partition
            ON partition.oid = pg_inherits.inhrelid
        CROSS JOIN LATERAL regexp_match(
            pg_get_expr(partition.relpartbound, partition.oid),
            'FROM \((MINVALUE|''[^'']*'')\) TO \((MAXVALUE|''[^'']*'')\)'
        ) AS bounds
        WHERE pg_inherits.inhparent = 'alerts'::regclass
    ),
    detached AS (
        SELECT
            to_regclass(quote_ident(retirement.partition_name))::oid AS oid,
            'detached' AS state,
            false AS is_default,
            retirement.range_from,
            retirement.range_to
        FROM alert_partition_retirements AS retirement
        WHERE retirement.dropped_at IS NULL
            AND retirement.cancelled_at IS NULL
    )
    SELECT
        found.relname,
        listed.state,
        listed.is_default,
        found.relkind = 'r',
        listed.range_from,
        listed.range_to,
        coalesce(
            (listed.range_from, listed.range_to) = (month.range_from, month.range_to),
            false
        ),
        alert_partition_is_complete(found.oid),
        (SELECT count(*)::integer FROM pg_index WHERE indrelid = found.oid),
        greatest(found.reltuples::bigint, pg_stat_get_live_tuples(found.oid), 0),
        pg_total_relation_size(found.oid),
        restored.restored_at
    FROM (
        SELECT * FROM attached
        UNION ALL
        SELECT * FROM detached WHERE oid NOT IN (SELECT oid FROM attached)
    ) AS listed
    JOIN pg_class AS found
        ON found.oid = listed.oid
    LEFT JOIN restored_alert_partitions AS restored
        ON restored.partition_name = found.relname
    CROSS JOIN LATERAL alert_month_bounds(
        CASE WHEN isfinite(listed.range_from) THEN listed.range_from END
    ) AS month
    ORDER BY listed.range_from NULLS LAST, found.relname
$function$;
REVOKE EXECUTE ON ROUTINE list_alert_partitions() FROM PUBLIC;

CREATE OR REPLACE FUNCTION list_closed_alert_hours(p_from timestamp with time zone, p_to timestamp with time zone)
 RETURNS TABLE(hour timestamp with time zone, partition_id oid, attached_by xid)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    -- Apart, so that the few partitions are looked up once and not for every hour.
    WITH attached AS MATERIALIZED (
        SELECT
            partition.oid AS partition_id,
            pg_inherits.xmin AS attached_by,
            partition.relfilenode AS stored_as
        FROM pg_inherits
        JOIN pg_class AS partition
            ON partition.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = 'alerts'::regclass
            AND NOT pg_inherits.inhdetachpending
    )
    SELECT
        rolled.hour,
        rolled.partition_id,
        rolled.attached_by
    FROM rolled_alert_hours AS rolled
    JOIN attached
        ON attached.partition_id = rolled.partition_id
        AND attached.attached_by = rolled.attached_by
        AND attached.stored_as = rolled.stored_as
    WHERE rolled.hour >= p_from
        AND rolled.hour <= p_to - INTERVAL '1 hour'
        -- Of later ones writers may not know, where the state was lost and made anew.
        AND rolled.hour < (SELECT settled_through FROM alert_count_state)
        AND (SELECT alerts_are_counted('alerts'))
$function$;

CREATE OR REPLACE FUNCTION list_countable_alert_partitions()
 RETURNS TABLE(partition_id oid, attached_by xid, stored_as oid, range_from timestamp with time zone, range_to timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT
        partition.oid,
        pg_inherits.xmin,
        partition.relfilenode,
        bounds.range_from,
        bounds.range_to
    FROM pg_inherits
    JOIN pg_class AS partition
        ON partition.oid = pg_inherits.inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_get_expr(partition.relpartbound, partition.oid),
        'FROM \(''([^'']*)''\) TO \(''([^'']*)''\)'
    ) AS given
    CROSS JOIN LATERAL (
        SELECT given[1]::timestamptz AS range_from, given[2]::timestamptz AS range_to
    ) AS bounds
    WHERE pg_inherits.inhparent = 'alerts'::regclass
        AND NOT pg_inherits.inhdetachpending
        AND partition.relkind = 'r'
        -- A crash empties one that is UNLOGGED, and no trigger fires.
        AND partition.relpersistence = 'p'
        -- What another role made, its policies and expressions, would run with the rights of the owner of this function, and a policy
        -- would hide alerts from the count.
        AND partition.relowner = (SELECT relowner FROM pg_class WHERE oid = 'alerts'::regclass)
        AND NOT partition.relrowsecurity
        AND has_table_privilege(partition.oid, 'SELECT')
        AND isfinite(bounds.range_from)
        AND isfinite(bounds.range_to)
        AND bounds.range_to <= bounds.range_from + INTERVAL '366 days'
        AND alerts_are_counted(partition.oid)
        AND alerts_are_counted('alerts')
$function$;

CREATE OR REPLACE FUNCTION list_open_alert_hours(p_through timestamp with time zone)
 RETURNS TABLE(partition_id oid, hour timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    SELECT
        countable.partition_id,
        hours.hour
    FROM list_countable_alert_partitions() AS countable
    CROSS JOIN LATERAL generate_series(
        date_trunc('hour', countable.range_from + INTERVAL '1 hour' - INTERVAL '1 microsecond'),
        least(countable.range_to, p_through) - INTERVAL '1 hour',
        INTERVAL '1 hour'
    ) AS hours (hour)
    WHERE isfinite(p_through)
        AND NOT EXISTS (
            SELECT
            FROM list_closed_alert_hours('-infinity', 'infinity') AS closed
            WHERE closed.hour = hours.hour
        )
$function$;

CREATE OR REPLACE FUNCTION lock_audit_chains(p_host_ids uuid[])
 RETURNS TABLE(host_id uuid, sequence_num bigint, event_hash text, link_hash text, created_at timestamp with time zone, server_now timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(keys.key)
    FROM (
        SELECT DISTINCT hashtextextended(
            'tripwire-storage audit ' || given.id,
            'audit_entries'::regclass::bigint
        ) AS key
        FROM unnest(p_host_ids) AS given (id)
        ORDER BY key
    ) AS keys;

    RETURN QUERY
    SELECT
        given.id,
        coalesce(head.sequence_num, pruned.through_sequence, 0),
        coalesce(head.event_hash, pruned.through_event_hash, repeat('0', 64))::text,
        coalesce(head.link_hash, pruned.through_link_hash, repeat('0', 64))::text,
        coalesce(head.created_at, pruned.through_created_at),
        clock_timestamp()
    FROM (SELECT DISTINCT id FROM unnest(p_host_ids) AS each (id)) AS given
    LEFT JOIN LATERAL (
        SELECT
            entry.sequence_num,
            entry.event_hash,
            CASE
                WHEN entry.hash_version = 0
                    THEN encode(sha256(convert_to('tripwire-storage/audit-entry/v0' || chr(10) || entry.event_hash, 'UTF8')), 'hex')
                ELSE coalesce(entry.row_hash, entry.event_hash)
            END AS link_hash,
            entry.created_at
        FROM audit_entries AS entry
        WHERE entry.host_id = given.id
        ORDER BY entry.sequence_num DESC
        LIMIT 1
    ) AS head
        ON true
    LEFT JOIN LATERAL (
        SELECT pruning.*
        FROM audit_prunings AS pruning
        WHERE pruning.host_id = given.id
        ORDER BY pruning.through_sequence DESC
        LIMIT 1
    ) AS pruned
        ON true;
END
$function$;
REVOKE EXECUTE ON ROUTINE lock_audit_chains(uuid[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION make_alert_partition(p_moment timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
DECLARE
    -- So much is read in a moment.
    c_small   CONSTANT BIGINT := 1048576;
    v_default REGCLASS;
    v_month   RECORD;
BEGIN
    IF find_alert_partition(p_moment) IS NOT NULL THEN
        RETURN NULL;
    END IF;

    -- One at a time. A lock on the table, because taking it also brings this session's view of the catalogue up to date.
    LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE;
    IF find_alert_partition(p_moment) IS NOT NULL THEN
        RETURN NULL;
    END IF;

    SELECT *
    INTO v_month
    FROM alert_month_bounds(p_moment);

    IF to_regclass(v_month.partition_name) IS NOT NULL THEN
        RAISE EXCEPTION 'alerts: a table % exists, but is no partition of alerts', v_month.partition_name
            USING ERRCODE = 'duplicate_table',
                  HINT = 'it may have been detached; attach it again, or rename it';
    END IF;

    SELECT nullif(partdefid, 0)::regclass
    INTO v_default
    FROM pg_partitioned_table
    WHERE partrelid = 'alerts'::regclass;
    IF v_default IS NOT NULL AND pg_table_size(v_default) > c_small THEN
        RAISE EXCEPTION 'alerts: to make %, all of the DEFAULT partition % would be read under an exclusive lock', v_month.partition_name, v_default
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'a way out of a DEFAULT partition is told by: tripwire-storage doctor';
    END IF;

    EXECUTE format('CREATE TABLE %I (LIKE alerts INCLUDING ALL)', v_month.partition_name);
    PERFORM complete_alert_partition(v_month.partition_name::regclass);
    EXECUTE format(
        'ALTER TABLE alerts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        v_month.partition_name,
        v_month.range_from,
        v_month.range_to
    );
    -- Of a month that came back once, and was dropped since.
    DELETE FROM restored_alert_partitions
    WHERE restored_alert_partitions.partition_name = v_month.partition_name;
    RETURN v_month.partition_name;
END
$function$;

CREATE OR REPLACE FUNCTION merge_alert_hour_counts(p_max_hours integer)
 RETURNS integer
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    WITH found AS (
        SELECT
            added.hour,
            rolled.hour IS NOT NULL AS is_closed
        FROM (
            SELECT hour, count(*) AS added_rows
            FROM alert_hour_counts
            WHERE dimension = 'total'
            GROUP BY hour
        ) AS added
        LEFT JOIN rolled_alert_hours AS rolled
            ON rolled.hour = added.hour
        WHERE added.added_rows > 32
            OR rolled.hour IS NULL
        LIMIT p_max_hours
    ),
    removed AS (
        DELETE FROM alert_hour_counts
        WHERE dimension IN ('total', 'type', 'host', 'rule')
            AND hour IN (SELECT hour FROM found)
        RETURNING hour, alerts, severity, dimension, value
    ),
    merged AS (
        INSERT INTO alert_hour_counts (hour, alerts, severity, dimension, value)
        SELECT hour, sum(alerts), severity, dimension, value
        FROM removed
        JOIN found
            USING (hour)
        WHERE found.is_closed
        GROUP BY hour, severity, dimension, value
        HAVING sum(alerts) <> 0
    )
    SELECT count(*)::integer
    FROM found
$function$;

CREATE OR REPLACE FUNCTION move_alert_count_mark(p_seen_mark timestamp with time zone, p_seen_by xid8, p_later_id xid8, OUT moved boolean, OUT is_settled boolean, OUT settled_through timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    -- Late by so much, an alert still costs nothing more than any other.
    c_grace CONSTANT INTERVAL := INTERVAL '5 minutes';
    v_due   CONSTANT TIMESTAMPTZ := date_trunc('hour', clock_timestamp() - c_grace, 'UTC');
    v_state alert_count_state%ROWTYPE;
BEGIN
    moved := false;
    SELECT *
    INTO v_state
    FROM alert_count_state;

    IF v_state.settled_through < v_state.marked_through THEN
        -- One of a later time than now was restored from another server.
        IF v_state.wait_for IS NULL OR v_state.wait_for > pg_snapshot_xmax(pg_current_snapshot()) THEN
            IF (v_state.marked_through, v_state.marked_by) IS NOT DISTINCT FROM (p_seen_mark, p_seen_by) THEN
                UPDATE alert_count_state
                SET wait_for = p_later_id
                RETURNING * INTO v_state;
                moved := true;
            END IF;
        ELSIF pg_snapshot_xmin(pg_current_snapshot()) >= v_state.wait_for THEN
            UPDATE alert_count_state
            SET settled_through = marked_through, wait_for = NULL
            RETURNING * INTO v_state;
            moved := true;
        END IF;
    END IF;

    -- A clock that was ahead and was put right: without this, every alert would be a late one until then.
    IF v_state.marked_through > v_due + INTERVAL '1 day' THEN
        DELETE FROM rolled_alert_hours
        WHERE hour >= v_due;
        UPDATE alert_count_state
        SET
            settled_through = least(settled_through, v_due),
            marked_through = v_due,
            marked_by = pg_current_xact_id(),
            wait_for = NULL
        RETURNING * INTO v_state;
        moved := true;
    ELSIF v_state.settled_through = v_state.marked_through AND v_state.marked_through < v_due THEN
        -- There are none, but where the state was lost and made anew: writers have not added to these since.
        DELETE FROM rolled_alert_hours
        WHERE hour >= v_state.settled_through;
        UPDATE alert_count_state
        SET marked_through = v_due, marked_by = pg_current_xact_id(), wait_for = NULL
        RETURNING * INTO v_state;
        moved := true;
    END IF;

    settled_through := v_state.settled_through;
    is_settled := v_state.settled_through = v_state.marked_through;
END
$function$;

CREATE OR REPLACE FUNCTION prune_alert_journal(p_keep interval DEFAULT '72:00:00'::interval)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
DECLARE
    v_before  CONSTANT TIMESTAMPTZ := clock_timestamp() - p_keep;
    v_removed BIGINT;
    v_through XID8;
BEGIN
    IF p_keep IS NULL OR NOT isfinite(p_keep) OR p_keep <= INTERVAL '0' THEN
        RAISE EXCEPTION 'prune_alert_journal: expected an interval above 0, and not infinite, got %', p_keep
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- On a replica, rows leave by themselves.
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;

    PERFORM renew_alert_journal();

    -- One at a time; another one does the same.
    PERFORM
    FROM alert_journal_state
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;

    WITH removed AS (
        DELETE FROM alert_journal
        WHERE written_at < v_before
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
            AND xid < (SELECT xid FROM alert_journal ORDER BY xid DESC LIMIT 1)
        RETURNING xid
    )
    SELECT
        count(*),
        (SELECT xid FROM removed ORDER BY xid DESC LIMIT 1)
    INTO v_removed, v_through
    FROM removed;

    IF v_removed > 0 THEN
        UPDATE alert_journal_state
        SET
            pruned_through = greatest(pruned_through, v_through),
            complete_since = greatest(complete_since, v_before);
    END IF;

    -- For whoever looks whether somebody prunes. Qualified, so that no function of somebody else's fits better.
    PERFORM record_maintenance(
        'prune_journal',
        NULL,
        pg_catalog.jsonb_build_object('keepHours', (extract(epoch FROM p_keep) / 3600)::double precision)
    );
    RETURN v_removed;
END
$function$;
REVOKE EXECUTE ON ROUTINE prune_alert_journal(interval) FROM PUBLIC;

CREATE OR REPLACE FUNCTION recognise_audit_entries(p_host_ids uuid[], p_entry_ids uuid[], p_sequence_nums bigint[], p_payload_digests text[])
 RETURNS TABLE(place bigint, entry_id uuid, is_recognised boolean, sequence_num bigint, event_hash text, prev_hash text, created_at timestamp with time zone, row_hash text, hash_version smallint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        given.place,
        entry.entry_id,
        compared.is_same,
        CASE WHEN compared.is_same THEN entry.sequence_num END,
        CASE WHEN compared.is_same THEN entry.event_hash::text END,
        CASE WHEN compared.is_same THEN entry.prev_hash::text END,
        CASE WHEN compared.is_same THEN entry.created_at END,
        CASE WHEN compared.is_same THEN entry.row_hash::text END,
        CASE WHEN compared.is_same THEN entry.hash_version END
    FROM unnest(p_host_ids, p_entry_ids, p_sequence_nums, p_payload_digests)
        WITH ORDINALITY AS given (host_id, entry_id, sequence_num, payload_digest, place)
    CROSS JOIN LATERAL (
        SELECT *
        FROM audit_entries AS by_id
        WHERE by_id.entry_id = given.entry_id
        UNION ALL
        SELECT *
        FROM audit_entries AS by_place
        WHERE given.entry_id IS NULL
            AND by_place.host_id = given.host_id
            AND by_place.sequence_num = given.sequence_num
    ) AS entry
    CROSS JOIN LATERAL (
        SELECT
            entry.host_id = given.host_id
            AND encode(sha256(convert_to(entry.payload::text, 'UTF8')), 'hex') IS NOT DISTINCT FROM given.payload_digest AS is_same
    ) AS compared;
END
$function$;
REVOKE EXECUTE ON ROUTINE recognise_audit_entries(uuid[], uuid[], bigint[], text[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION record_maintenance(p_task text, p_error text, p_settings jsonb)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    INSERT INTO maintenance_tasks (task, last_run_at, last_success_at, last_error, settings)
    VALUES (
        p_task,
        clock_timestamp(),
        CASE WHEN p_error IS NULL THEN clock_timestamp() END,
        p_error,
        p_settings
    )
    ON CONFLICT (task) DO UPDATE
    SET
        last_run_at = EXCLUDED.last_run_at,
        last_success_at = coalesce(EXCLUDED.last_success_at, maintenance_tasks.last_success_at),
        last_error = EXCLUDED.last_error,
        settings = EXCLUDED.settings
$function$;
REVOKE EXECUTE ON ROUTINE record_maintenance(text, text, jsonb) FROM PUBLIC;

CREATE OR REPLACE FUNCTION renew_alert_journal()
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '1s'
AS $function$
DECLARE
    v_identity CONSTANT TEXT := alert_journal_identity();
BEGIN
    IF EXISTS (SELECT FROM alert_journal_state WHERE identity = v_identity) THEN
        RETURN false;
    END IF;

    LOCK TABLE alert_journal_state IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM alert_journal_state WHERE identity = v_identity) THEN
        RETURN false;
    END IF;

    DELETE FROM alert_journal;

    -- The transactions that run now have higher numbers, and their rows stay.
    INSERT INTO alert_journal_state (identity, begun_by, pruned_through, complete_since)
    VALUES (
        v_identity,
        pg_current_xact_id(),
        (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8,
        CASE
            WHEN EXISTS (SELECT FROM alerts) THEN clock_timestamp()
            ELSE '-infinity'
        END
    )
    ON CONFLICT (only_row) DO UPDATE
    SET
        identity = EXCLUDED.identity,
        begun_by = EXCLUDED.begun_by,
        pruned_through = EXCLUDED.pruned_through,
        complete_since = EXCLUDED.complete_since;
    RETURN true;
END
$function$;
REVOKE EXECUTE ON ROUTINE renew_alert_journal() FROM PUBLIC;

CREATE OR REPLACE FUNCTION reopen_alert_hours(p_hours timestamp with time zone[])
 RETURNS integer
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
AS $function$
    WITH reopened AS (
        DELETE FROM rolled_alert_hours
        WHERE hour = ANY (p_hours)
        RETURNING hour
    )
    SELECT count(*)::integer
    FROM reopened
$function$;
REVOKE EXECUTE ON ROUTINE reopen_alert_hours(timestamp with time zone[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION roll_up_alert_hours(p_max_hours integer DEFAULT 24, OUT state text, OUT closed_hours integer, OUT forgotten_hours integer, OUT merged_hours integer, OUT settled_through timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET "TimeZone" TO 'UTC'
 SET "DateStyle" TO 'ISO'
 SET lock_timeout TO '1s'
AS $function$
#variable_conflict use_column
DECLARE
    v_seen      alert_count_state%ROWTYPE;
    v_later_id  XID8;
    v_mark      RECORD;
    v_partition OID;
    v_hours     TIMESTAMPTZ[];
BEGIN
    IF p_max_hours IS NULL OR p_max_hours NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'roll_up_alert_hours: expected 1 to 10000 hours, got %', p_max_hours
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    closed_hours := 0;
    forgotten_hours := 0;
    merged_hours := 0;
    -- On a replica the counts arrive by themselves.
    IF pg_is_in_recovery() THEN
        state := 'done';
        settled_through := (SELECT found.settled_through FROM alert_count_state AS found);
        RETURN;
    END IF;

    -- With an older snapshot, a sum would be replaced that holds more than is counted.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'roll_up_alert_hours: hours can only be counted at READ COMMITTED'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'begin with: BEGIN ISOLATION LEVEL READ COMMITTED';
    END IF;
    -- What this transaction attached or truncated may be attached or truncated by it again, and look the same then.
    IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
        RAISE EXCEPTION 'roll_up_alert_hours: the transaction has changed something already'
            USING ERRCODE = 'active_sql_transaction',
                  HINT = 'call it in a transaction of its own';
    END IF;

    SELECT *
    INTO v_seen
    FROM alert_count_state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'roll_up_alert_hours: the row of alert_count_state is gone'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'how to make it anew is told by: tripwire-storage doctor';
    END IF;
    settled_through := v_seen.settled_through;
    v_later_id := pg_current_xact_id();

    PERFORM
    FROM alert_count_state
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        state := 'busy';
        RETURN;
    END IF;

    v_mark := move_alert_count_mark(v_seen.marked_through, v_seen.marked_by, v_later_id);
    settled_through := v_mark.settled_through;

    forgotten_hours := forget_gone_alert_hours(p_max_hours);
    -- The newest, of one partition and not far apart.
    WITH open AS MATERIALIZED (
        SELECT *
        FROM list_open_alert_hours(settled_through)
    )
    SELECT newest.partition_id, pg_catalog.array_agg(open.hour)
    INTO v_partition, v_hours
    FROM open
    JOIN (SELECT * FROM open ORDER BY hour DESC LIMIT 1) AS newest
        ON newest.partition_id = open.partition_id
        AND newest.hour < open.hour + p_max_hours * INTERVAL '1 hour'
    GROUP BY newest.partition_id;
    IF v_partition IS NOT NULL THEN
        closed_hours := close_alert_hours(v_partition, v_hours);
    ELSIF forgotten_hours = 0 THEN
        merged_hours := merge_alert_hour_counts(p_max_hours);
    END IF;

    state := CASE
        WHEN v_mark.moved OR closed_hours > 0 OR forgotten_hours > 0 OR merged_hours > 0 THEN 'working'
        WHEN NOT v_mark.is_settled THEN 'waiting'
        ELSE 'done'
    END;
END
$function$;
REVOKE EXECUTE ON ROUTINE roll_up_alert_hours(integer) FROM PUBLIC;

-- Triggers

CREATE TRIGGER alerts_check_hosts_on_insert
    AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_hosts();

CREATE TRIGGER alerts_check_hosts_on_update
    AFTER UPDATE ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_hosts();

CREATE TRIGGER alerts_check_resends
    AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_resends();

CREATE TRIGGER alerts_count_deleted
    AFTER DELETE ON alerts
    REFERENCING OLD TABLE AS removed_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_count_inserted
    AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_count_updated
    AFTER UPDATE ON alerts
    REFERENCING OLD TABLE AS removed_alerts NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_keep_partition
    BEFORE UPDATE ON alerts
    FOR EACH ROW
    WHEN ((old.received_at IS DISTINCT FROM new.received_at))
    EXECUTE FUNCTION alerts_keep_partition();

CREATE TRIGGER alerts_write_journal_on_insert
    AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_write_journal();

CREATE TRIGGER alerts_write_journal_on_update
    AFTER UPDATE ON alerts
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_write_journal();

CREATE TRIGGER alerts_check_hosts_on_insert
    AFTER INSERT ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_hosts();

CREATE TRIGGER alerts_check_hosts_on_update
    AFTER UPDATE ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_hosts();

CREATE TRIGGER alerts_check_resends
    AFTER INSERT ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_check_resends();

CREATE TRIGGER alerts_count_deleted
    AFTER DELETE ON alerts_y2026m02
    REFERENCING OLD TABLE AS removed_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_count_inserted
    AFTER INSERT ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_count_updated
    AFTER UPDATE ON alerts_y2026m02
    REFERENCING OLD TABLE AS removed_alerts NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_count_changes();

CREATE TRIGGER alerts_write_journal_on_insert
    AFTER INSERT ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_write_journal();

CREATE TRIGGER alerts_write_journal_on_update
    AFTER UPDATE ON alerts_y2026m02
    REFERENCING NEW TABLE AS written_alerts
    FOR EACH STATEMENT
    EXECUTE FUNCTION alerts_write_journal();

CREATE TRIGGER audit_entries_continue_chain
    AFTER INSERT ON audit_entries
    REFERENCING NEW TABLE AS written_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_entries_continue_chain();

CREATE TRIGGER audit_entries_refuse_delete
    AFTER DELETE ON audit_entries
    REFERENCING OLD TABLE AS deleted_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_delete(); -- enabled: A

CREATE TRIGGER audit_entries_refuse_update
    BEFORE UPDATE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_change(); -- enabled: A

CREATE TRIGGER audit_prunings_refuse_change
    BEFORE DELETE OR UPDATE OR TRUNCATE ON audit_prunings
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_change(); -- enabled: A

CREATE TRIGGER hosts_keep_alerts
    AFTER DELETE ON hosts
    REFERENCING OLD TABLE AS removed_hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_keep_alerts();

CREATE TRIGGER hosts_keep_identity
    BEFORE UPDATE ON hosts
    FOR EACH ROW
    WHEN ((old.host_id IS DISTINCT FROM new.host_id))
    EXECUTE FUNCTION hosts_keep_identity();

CREATE TRIGGER hosts_refuse_truncate
    BEFORE TRUNCATE ON hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_refuse_truncate();
