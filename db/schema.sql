-- Generated from db/migrations by: npm run schema
-- The schema that all migrations give, the same on PostgreSQL 15 to 18. For reading and for review: a database is
-- made by the migrations, and `npm run check` fails when this file does not say what they give.

-- Enums

CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE', 'DEGRADED');

CREATE TYPE severity_level AS ENUM ('INFO', 'WARN', 'CRITICAL');

CREATE TYPE tripwire_type AS ENUM ('FILE', 'NETWORK', 'PROCESS');

-- Tables

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
    created_at timestamp with time zone NOT NULL DEFAULT now()
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

ALTER TABLE audit_entries
    ADD CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id);

ALTER TABLE audit_entries
    ADD CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num);

ALTER TABLE audit_entries
    ADD CONSTRAINT fk_audit_host FOREIGN KEY (host_id) REFERENCES hosts(host_id);

ALTER TABLE hosts
    ADD CONSTRAINT hosts_hostname_unique UNIQUE (hostname);

ALTER TABLE hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (host_id);

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

CREATE INDEX alerts_critical_received_at_idx ON ONLY alerts USING btree (received_at, alert_id) WHERE (severity = 'CRITICAL'::severity_level);

CREATE INDEX alerts_host_id_received_at_idx ON ONLY alerts USING btree (host_id, received_at, alert_id);

CREATE INDEX alerts_received_at_alert_id_idx ON ONLY alerts USING btree (received_at, alert_id);

CREATE INDEX alerts_warn_received_at_idx ON ONLY alerts USING btree (received_at, alert_id) WHERE (severity = 'WARN'::severity_level);

CREATE INDEX alerts_y2026m02_host_id_received_at_alert_id_idx ON alerts_y2026m02 USING btree (host_id, received_at, alert_id);
ALTER INDEX alerts_host_id_received_at_idx ATTACH PARTITION alerts_y2026m02_host_id_received_at_alert_id_idx;

CREATE INDEX alerts_y2026m02_received_at_alert_id_idx ON alerts_y2026m02 USING btree (received_at, alert_id);
ALTER INDEX alerts_received_at_alert_id_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_idx;

CREATE INDEX alerts_y2026m02_received_at_alert_id_idx1 ON alerts_y2026m02 USING btree (received_at, alert_id) WHERE (severity = 'WARN'::severity_level);
ALTER INDEX alerts_warn_received_at_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_idx1;

CREATE INDEX alerts_y2026m02_received_at_alert_id_idx2 ON alerts_y2026m02 USING btree (received_at, alert_id) WHERE (severity = 'CRITICAL'::severity_level);
ALTER INDEX alerts_critical_received_at_idx ATTACH PARTITION alerts_y2026m02_received_at_alert_id_idx2;

CREATE UNIQUE INDEX alerts_y2026m02_stored_once ON alerts_y2026m02 USING btree (alert_id, host_id);

CREATE INDEX idx_rules_host_id ON tripwire_rules USING btree (host_id);

-- Functions

CREATE OR REPLACE FUNCTION add_alert_triggers(p_table regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER alerts_check_hosts_on_insert
            AFTER INSERT ON %s
            REFERENCING NEW TABLE AS written_alerts
            FOR EACH STATEMENT
            EXECUTE FUNCTION alerts_check_hosts()',
        p_table
    );
    EXECUTE format(
        'CREATE TRIGGER alerts_check_hosts_on_update
            AFTER UPDATE ON %s
            REFERENCING NEW TABLE AS written_alerts
            FOR EACH STATEMENT
            EXECUTE FUNCTION alerts_check_hosts()',
        p_table
    );
END
$function$;

CREATE OR REPLACE FUNCTION alerts_check_hosts()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
DECLARE
    v_unknown_host UUID;
BEGIN
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

CREATE OR REPLACE FUNCTION ensure_alert_partition(p_moment timestamp with time zone)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
DECLARE
    v_month     TIMESTAMP := date_trunc('month', p_moment AT TIME ZONE 'UTC');
    v_partition TEXT;
BEGIN
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

    v_partition := to_char(v_month, '"alerts_y"YYYY"m"MM');
    IF to_regclass(v_partition) IS NOT NULL THEN
        RETURN NULL;
    END IF;

    PERFORM pg_advisory_xact_lock(hashtextextended('tripwire-storage: alert partitions', 0));
    IF to_regclass(v_partition) IS NOT NULL THEN
        RETURN NULL;
    END IF;

    EXECUTE format('CREATE TABLE %I (LIKE alerts INCLUDING ALL)', v_partition);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (alert_id, host_id)', v_partition || '_stored_once', v_partition);
    PERFORM add_alert_triggers(v_partition::regclass);
    EXECUTE format(
        'ALTER TABLE alerts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        v_partition,
        v_month AT TIME ZONE 'UTC',
        (v_month + INTERVAL '1 month') AT TIME ZONE 'UTC'
    );
    RETURN v_partition;
END
$function$;

CREATE OR REPLACE FUNCTION hosts_keep_alerts()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO '$user', 'public'
AS $function$
DECLARE
    v_needed_host UUID;
BEGIN
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
