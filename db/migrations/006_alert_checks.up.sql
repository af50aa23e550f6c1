-- What every alert must satisfy, whichever client writes it: its host is registered, and it is stored once.
--
-- One check a statement instead of one a row. The errors are those of a foreign key and of a unique key, so that
-- clients need not care.

-- Both locks first, as in 005, and for the same reason.
DO $$
DECLARE
    v_tries_left INTEGER := 25;
BEGIN
    LOCK TABLE alerts IN SHARE ROW EXCLUSIVE MODE;
    LOOP
        BEGIN
            LOCK TABLE hosts IN SHARE ROW EXCLUSIVE MODE NOWAIT;
            EXIT;
        EXCEPTION
            WHEN lock_not_available THEN
                v_tries_left := v_tries_left - 1;
                IF v_tries_left = 0 THEN
                    RAISE;
                END IF;
                PERFORM pg_sleep(0.02);
        END;
    END LOOP;
END
$$;

CREATE FUNCTION alerts_check_hosts() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- The partition that holds a moment, whatever its name; NULL when there is none.
CREATE FUNCTION find_alert_partition(p_moment TIMESTAMPTZ) RETURNS REGCLASS
LANGUAGE sql
STABLE
AS $$
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
$$;

-- An alert that is sent again after the edge of a month falls into another partition, whose unique index cannot see it.
-- So for the first week of a month each statement looks back over a week, and for the last week ahead.
--
-- Two statements that carry the same alert on both sides of the edge at the same time must not miss each other.
-- For the first minutes, a statement of the new month waits for the writers of the old one, and holds off those that
-- began before the edge and have not written yet; when these write, they look ahead.
CREATE FUNCTION alerts_check_resends() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- A host with alerts cannot be deleted: this side holds off the writers first, so that no insert can slip between.
CREATE FUNCTION hosts_keep_alerts() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

CREATE FUNCTION hosts_keep_identity() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'hosts: a host_id cannot be changed'
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'host_id',
              CONSTRAINT = 'hosts_keep_identity';
END
$$;

-- The foreign keys of rules and audit entries refuse TRUNCATE, but CASCADE passes those by.
CREATE FUNCTION hosts_refuse_truncate() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'hosts: TRUNCATE would leave alerts without their hosts'
        USING ERRCODE = 'restrict_violation',
              HINT = 'use DELETE';
END
$$;

CREATE TRIGGER hosts_keep_identity
    BEFORE UPDATE ON hosts
    FOR EACH ROW
    WHEN (OLD.host_id IS DISTINCT FROM NEW.host_id)
    EXECUTE FUNCTION hosts_keep_identity();

CREATE TRIGGER hosts_keep_alerts
    AFTER DELETE ON hosts
    REFERENCING OLD TABLE AS removed_hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_keep_alerts();

CREATE TRIGGER hosts_refuse_truncate
    BEFORE TRUNCATE ON hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_refuse_truncate();

-- A statement trigger fires for the table that the statement names: the parent, or a partition written directly.
CREATE FUNCTION add_alert_triggers(p_table REGCLASS) RETURNS VOID
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

-- Each function finds its tables in the schema that it was made in, whoever calls it. pg_temp last: a temporary table of
-- the caller must not stand in for one of ours.
DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'alerts_check_hosts()',
        'alerts_check_resends()',
        'find_alert_partition(TIMESTAMPTZ)',
        'hosts_keep_alerts()',
        'add_alert_triggers(REGCLASS)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
END
$$;

-- ISO dates and UTC, because bounds are read back as text.
ALTER FUNCTION find_alert_partition(TIMESTAMPTZ) SET TimeZone = 'UTC';
ALTER FUNCTION find_alert_partition(TIMESTAMPTZ) SET DateStyle = 'ISO';

SELECT add_alert_triggers('alerts');

SELECT add_alert_triggers(inhrelid)
FROM pg_inherits
WHERE inhparent = 'alerts'::regclass;
