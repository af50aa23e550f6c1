-- Makes the partition of a month, from any client or scheduler.

-- Returns the name of the partition that it made, or NULL when the month had one.
-- Any number may run at once. Writers go on: LIKE + ATTACH needs no exclusive lock on alerts.
CREATE FUNCTION ensure_alert_partition(p_moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
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
$$;

DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION ensure_alert_partition(TIMESTAMPTZ) SET search_path = %I, pg_temp',
        current_schema()
    );
END
$$;
