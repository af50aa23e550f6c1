-- Refuses while months are on their way out: their rows say which detached tables are ours.
DO $$
BEGIN
    IF EXISTS (SELECT FROM alert_partition_retirements WHERE dropped_at IS NULL AND cancelled_at IS NULL)
        AND current_setting('tripwire.allow_data_loss', true) IS DISTINCT FROM 'on'
    THEN
        RAISE EXCEPTION 'alert_partition_retirements: months are detached and not dropped yet'
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'finish them with tripwire-storage partitions retain, or attach them again; or tripwire-storage migrate down --allow-data-loss';
    END IF;
END
$$;

DROP FUNCTION ensure_alert_partitions(INTEGER);
DROP FUNCTION ensure_alert_month_ahead(INTEGER, INTEGER);
ALTER FUNCTION hosts_keep_alerts() RESET lock_timeout;
DROP FUNCTION list_alert_partitions();

-- The functions as 006 and 007 made them.

CREATE OR REPLACE FUNCTION add_alert_triggers(p_table REGCLASS) RETURNS VOID
LANGUAGE plpgsql
AS $$
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
    EXECUTE format(
        'CREATE TRIGGER alerts_check_resends
            AFTER INSERT ON %s
            REFERENCING NEW TABLE AS written_alerts
            FOR EACH STATEMENT
            EXECUTE FUNCTION alerts_check_resends()',
        p_table
    );
END
$$;

CREATE OR REPLACE FUNCTION alert_partition_is_complete(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT
        EXISTS (
            SELECT
            FROM pg_index
            WHERE indrelid = p_partition
                AND indisunique
                AND indisvalid
                AND indpred IS NULL
                AND pg_get_indexdef(indexrelid) LIKE '%(alert_id, host_id)'
        )
        AND EXISTS (
            SELECT
            FROM pg_trigger
            WHERE tgrelid = p_partition
                AND tgname = 'alerts_check_hosts_on_insert'
        )
$$;

CREATE OR REPLACE FUNCTION complete_alert_partition(p_partition REGCLASS) RETURNS VOID
LANGUAGE plpgsql
AS $$
DECLARE
    v_name NAME := (SELECT relname FROM pg_class WHERE oid = p_partition);
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM pg_trigger
        WHERE tgrelid = p_partition
            AND tgname = 'alerts_check_hosts_on_insert'
    ) THEN
        PERFORM add_alert_triggers(p_partition);
    END IF;

    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON %s (alert_id, host_id)', v_name || '_stored_once', p_partition);
EXCEPTION
    WHEN unique_violation THEN
        RAISE WARNING '% holds alerts twice, so it has no unique index and cannot refuse resends', p_partition;
END
$$;

CREATE OR REPLACE FUNCTION ensure_alert_partition(p_moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    v_month     TIMESTAMP := date_trunc('month', p_moment AT TIME ZONE 'UTC');
    v_partition TEXT      := to_char(v_month, '"alerts_y"YYYY"m"MM');
    v_present   REGCLASS  := find_alert_partition(p_moment);
BEGIN
    IF v_present IS NOT NULL AND alert_partition_is_complete(v_present) THEN
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

    -- One at a time. A lock on the table, because taking it also brings this session's view of the catalogue up to date.
    LOCK TABLE ONLY alerts IN SHARE UPDATE EXCLUSIVE MODE;
    v_present := find_alert_partition(p_moment);
    IF v_present IS NOT NULL THEN
        PERFORM complete_alert_partition(v_present);
        RETURN NULL;
    END IF;

    IF to_regclass(v_partition) IS NOT NULL THEN
        RAISE EXCEPTION 'alerts: a table % exists, but is no partition of alerts', v_partition
            USING ERRCODE = 'duplicate_table',
                  HINT = 'it may have been detached; attach it again, or rename it';
    END IF;

    EXECUTE format('CREATE TABLE %I (LIKE alerts INCLUDING ALL)', v_partition);
    PERFORM complete_alert_partition(v_partition::regclass);
    EXECUTE format(
        'ALTER TABLE alerts ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        v_partition,
        to_char(v_month, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(v_month + INTERVAL '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
    );
    RETURN v_partition;
END
$$;

DROP FUNCTION make_alert_partition(TIMESTAMPTZ);
DROP FUNCTION alert_partition_has_triggers(REGCLASS);
DROP FUNCTION alert_partition_has_unique_index(REGCLASS);
DROP FUNCTION alert_month_bounds(TIMESTAMPTZ);
DROP FUNCTION record_maintenance(TEXT, TEXT, JSONB);

DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'add_alert_triggers(REGCLASS)',
        'alert_partition_is_complete(REGCLASS)',
        'complete_alert_partition(REGCLASS)',
        'ensure_alert_partition(TIMESTAMPTZ)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s RESET ALL', v_function);
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        CONTINUE WHEN v_function LIKE 'add_alert_triggers%';
        EXECUTE format('ALTER FUNCTION %s SET TimeZone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET DateStyle = ''ISO''', v_function);
    END LOOP;
END
$$;

DROP TABLE maintenance_tasks;
DROP TABLE duplicate_alert_partitions;
DROP TABLE restored_alert_partitions;
DROP TABLE alert_partition_retirements;
