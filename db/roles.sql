-- Roles without login for accounts that are not the owner of the tables: docs/operations/roles.md.
-- Run it in the schema of the tables, as their owner. It can be run again.

DO $$
DECLARE
    v_role TEXT;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['tripwire_writer', 'tripwire_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), v_role);
    END LOOP;
END
$$;

-- What a store looks at when it is opened.
GRANT SELECT
    ON schema_migrations, schema_compatibility
    TO tripwire_writer, tripwire_reader;

GRANT SELECT
    ON hosts, alerts, tripwire_rules, audit_entries, audit_prunings, alert_dead_letters,
        alert_partition_retirements, restored_alert_partitions, duplicate_alert_partitions, maintenance_tasks
    TO tripwire_reader;

GRANT EXECUTE
    ON FUNCTION list_alert_partitions()
    TO tripwire_reader;

-- The counts of timelines. They tell no more than alerts does.
GRANT SELECT
    ON alert_hour_counts, rolled_alert_hours, alert_count_state
    TO tripwire_writer, tripwire_reader;

GRANT EXECUTE
    ON FUNCTION roll_up_alert_hours(INTEGER)
    TO tripwire_writer;

-- Alerts: insert, and look for what is stored already. No UPDATE, no DELETE.
GRANT SELECT, INSERT
    ON alerts
    TO tripwire_writer;

-- The journal that tails read. A writer has no part in it: its rows are written by triggers, and whoever may
-- prune it may take from tails what they have not read yet.
GRANT SELECT
    ON alert_journal, alert_journal_state
    TO tripwire_reader;

GRANT EXECUTE
    ON FUNCTION alert_journal_identity(), renew_alert_journal()
    TO tripwire_reader;

-- A dead letter leaves when its alert is stored.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON alert_dead_letters
    TO tripwire_writer;

GRANT EXECUTE
    ON FUNCTION ensure_alert_partition(TIMESTAMPTZ), ensure_alert_month_ahead(INTEGER, INTEGER),
        ensure_alert_partitions(INTEGER), record_maintenance(TEXT, TEXT, JSONB)
    TO tripwire_writer;

GRANT SELECT, INSERT, UPDATE
    ON hosts
    TO tripwire_writer;

GRANT SELECT, INSERT, UPDATE, DELETE
    ON tripwire_rules
    TO tripwire_writer;

-- The audit log: insert, and nothing else. The functions return the heads of the chains, and which of the entries that the writer
-- has already are there; nothing of the content of others.
GRANT INSERT
    ON audit_entries
    TO tripwire_writer;

GRANT EXECUTE
    ON FUNCTION lock_audit_chains(UUID[]), recognise_audit_entries(UUID[], UUID[], BIGINT[], TEXT[])
    TO tripwire_writer;
