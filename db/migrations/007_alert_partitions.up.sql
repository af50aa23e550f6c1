-- The months of alerts, for any client or scheduler: all of this can be called again and again, by any number at once.

-- Whether a partition has what CREATE TABLE … PARTITION OF does not give it: the unique index and the triggers.
CREATE FUNCTION alert_partition_is_complete(p_partition REGCLASS) RETURNS BOOLEAN
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

-- Gives a partition the unique index and the triggers. Where an alert stands in it twice, the index has to wait: a warning.
CREATE FUNCTION complete_alert_partition(p_partition REGCLASS) RETURNS VOID
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

-- Makes sure that the month of a moment has its partition, and that it is complete.
-- Returns the name of the partition that it made, or NULL when the month had one.
-- Writers go on meanwhile: LIKE + ATTACH needs no lock on alerts that they would wait for.
CREATE FUNCTION ensure_alert_partition(p_moment TIMESTAMPTZ) RETURNS TEXT
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

-- ISO dates and UTC, because bounds are read back as text.
DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'alert_partition_is_complete(REGCLASS)',
        'complete_alert_partition(REGCLASS)',
        'ensure_alert_partition(TIMESTAMPTZ)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET TimeZone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET DateStyle = ''ISO''', v_function);
    END LOOP;
END
$$;

-- It runs with the rights of its owner, so others may call it only when the owner says so.
REVOKE EXECUTE ON FUNCTION ensure_alert_partition(TIMESTAMPTZ) FROM PUBLIC;
