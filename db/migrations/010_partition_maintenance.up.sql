-- Months that look after themselves: made ahead, mended where they were made by hand, and retired.
--
-- docs/design/partitions.md says what may fail when.

-- The months on their way out, and those that left. The row is written before the month is detached: a table that an
-- operator detached for a purpose of their own has none, and is left alone.
CREATE TABLE alert_partition_retirements (
    retirement_id  UUID        NOT NULL DEFAULT gen_random_uuid(),
    partition_name TEXT        NOT NULL,
    range_from     TIMESTAMPTZ NOT NULL,
    range_to       TIMESTAMPTZ NOT NULL,
    started_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Set with the drop, in its transaction.
    archive_file   TEXT,
    archive_rows   BIGINT,
    content_sha256 BYTEA,
    dropped_at     TIMESTAMPTZ,
    -- Set when the month is a partition again, or its table was dropped by somebody else.
    cancelled_at   TIMESTAMPTZ,
    CONSTRAINT alert_partition_retirements_pkey PRIMARY KEY (retirement_id),
    CONSTRAINT alert_partition_retirements_end_once CHECK (dropped_at IS NULL OR cancelled_at IS NULL),
    CONSTRAINT alert_partition_retirements_drop_archived CHECK (
        dropped_at IS NULL
        OR (archive_file IS NOT NULL AND archive_rows IS NOT NULL AND content_sha256 IS NOT NULL)
    )
);

CREATE UNIQUE INDEX alert_partition_retirements_one_open
    ON alert_partition_retirements (partition_name)
    WHERE dropped_at IS NULL AND cancelled_at IS NULL;

-- Months that came back from an archive: retention leaves them alone until it is told otherwise.
CREATE TABLE restored_alert_partitions (
    partition_name TEXT        NOT NULL,
    content_sha256 BYTEA       NOT NULL,
    restored_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT restored_alert_partitions_pkey PRIMARY KEY (partition_name)
);

-- Months that were made by hand and hold alerts twice: building their unique index in vain every hour helps nobody.
CREATE TABLE duplicate_alert_partitions (
    partition_name TEXT        NOT NULL,
    found_at       TIMESTAMPTZ NOT NULL,
    CONSTRAINT duplicate_alert_partitions_pkey PRIMARY KEY (partition_name)
);

-- When each task of the maintenance ran last, whoever ran it.
CREATE TABLE maintenance_tasks (
    task            TEXT        NOT NULL,
    last_run_at     TIMESTAMPTZ NOT NULL,
    -- Moves only on success.
    last_success_at TIMESTAMPTZ,
    last_error      TEXT,
    -- What it was told to do, for those who look whether it was done.
    settings        JSONB       NOT NULL,
    CONSTRAINT maintenance_tasks_pkey PRIMARY KEY (task)
);

CREATE FUNCTION record_maintenance(p_task TEXT, p_error TEXT, p_settings JSONB) RETURNS VOID
LANGUAGE sql
SECURITY DEFINER
AS $$
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
$$;

-- The month (UTC) that a moment falls into, and the name of its partition.
CREATE FUNCTION alert_month_bounds(
    p_moment TIMESTAMPTZ,
    OUT partition_name TEXT,
    OUT range_from TIMESTAMPTZ,
    OUT range_to TIMESTAMPTZ
)
LANGUAGE sql
STABLE
AS $$
    SELECT
        to_char(month, '"alerts_y"YYYY"m"MM'),
        month AT TIME ZONE 'UTC',
        (month + INTERVAL '1 month') AT TIME ZONE 'UTC'
    FROM (SELECT date_trunc('month', p_moment AT TIME ZONE 'UTC') AS month) AS months
$$;

-- Called again on a partition, it puts back what is missing.
CREATE OR REPLACE FUNCTION add_alert_triggers(p_table REGCLASS) RETURNS VOID
LANGUAGE plpgsql
AS $$
DECLARE
    v_trigger RECORD;
BEGIN
    FOR v_trigger IN
        SELECT *
        FROM (VALUES
            ('alerts_check_hosts_on_insert', 'INSERT', 'alerts_check_hosts'),
            ('alerts_check_hosts_on_update', 'UPDATE', 'alerts_check_hosts'),
            ('alerts_check_resends', 'INSERT', 'alerts_check_resends')
        ) AS triggers (name, event, function)
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER %I
                AFTER %s ON %s
                REFERENCING NEW TABLE AS written_alerts
                FOR EACH STATEMENT
                EXECUTE FUNCTION %I()',
            v_trigger.name,
            v_trigger.event,
            p_table,
            v_trigger.function
        );
    END LOOP;
END
$$;

CREATE FUNCTION alert_partition_has_triggers(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT count(*) = 3
    FROM pg_trigger
    WHERE tgrelid = p_partition
        AND tgname IN ('alerts_check_hosts_on_insert', 'alerts_check_hosts_on_update', 'alerts_check_resends')
$$;

CREATE FUNCTION alert_partition_has_unique_index(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT EXISTS (
        SELECT
        FROM pg_index
        WHERE indrelid = p_partition
            AND indisunique
            AND indisvalid
            AND indpred IS NULL
            AND pg_get_indexdef(indexrelid) LIKE '%(alert_id, host_id)'
    )
$$;

-- Whether a partition has what CREATE TABLE … PARTITION OF does not give it: the unique index and the triggers.
CREATE OR REPLACE FUNCTION alert_partition_is_complete(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT alert_partition_has_unique_index(p_partition) AND alert_partition_has_triggers(p_partition)
$$;

-- Everything that holds alerts: the partitions, and the months that are detached on their way out.
CREATE FUNCTION list_alert_partitions() RETURNS TABLE (
    partition_name TEXT,
    -- attached, detaching (DETACH CONCURRENTLY was cut half way) or detached
    state          TEXT,
    is_default     BOOLEAN,
    -- Whether it is an ordinary table: neither partitioned itself nor foreign
    is_table       BOOLEAN,
    -- NULL for the DEFAULT partition; infinite for MINVALUE and MAXVALUE
    range_from     TIMESTAMPTZ,
    range_to       TIMESTAMPTZ,
    -- Whether the bounds are those of one month in UTC
    is_month       BOOLEAN,
    -- Whether it has the unique index and the triggers
    is_complete    BOOLEAN,
    index_count    INTEGER,
    row_estimate   BIGINT,
    total_bytes    BIGINT,
    restored_at    TIMESTAMPTZ
)
LANGUAGE sql
STABLE
SECURITY DEFINER
AS $$
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
$$;

-- Gives a partition the unique index and the triggers, and holds off its writers for as long as that takes.
-- Where an alert stands in it twice, the index has to wait: a warning.
CREATE OR REPLACE FUNCTION complete_alert_partition(p_partition REGCLASS) RETURNS VOID
LANGUAGE plpgsql
AS $$
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
$$;

-- Makes the partition of a month, or returns NULL where there is one.
-- Writers go on meanwhile: LIKE + ATTACH needs no lock on alerts that they would wait for.
CREATE FUNCTION make_alert_partition(p_moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
AS $$
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
$$;

-- Makes sure that the month of a moment has its partition. One that was made by hand is completed while it is small.
-- Returns the name of the partition that it made, or NULL when the month had one.
CREATE OR REPLACE FUNCTION ensure_alert_partition(p_moment TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Makes sure of the month so many after the present one. When it cannot be made, that comes back with the reason. Where a lock was
-- not to be had, it is tried again after a pause; nothing is locked meanwhile.
CREATE FUNCTION ensure_alert_month_ahead(
    p_ahead INTEGER,
    p_attempts INTEGER DEFAULT 5,
    OUT partition_name TEXT,
    OUT range_from TIMESTAMPTZ,
    OUT range_to TIMESTAMPTZ,
    OUT made BOOLEAN,
    OUT problem_state TEXT,
    OUT problem TEXT
)
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Makes sure of this month and of so many ahead. A month that cannot be made does not stop the others.
CREATE FUNCTION ensure_alert_partitions(p_months_ahead INTEGER DEFAULT 3) RETURNS TABLE (
    partition_name TEXT,
    range_from     TIMESTAMPTZ,
    range_to       TIMESTAMPTZ,
    made           BOOLEAN,
    problem_state  TEXT,
    problem        TEXT
)
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- As in 006 and 007: each function finds its tables in the schema that it was made in, whoever calls it. ISO dates and UTC,
-- because bounds are read back as text. No function waits for a lock for long, so that nobody waits behind it.
DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'record_maintenance(TEXT, TEXT, JSONB)',
        'alert_month_bounds(TIMESTAMPTZ)',
        'list_alert_partitions()',
        'add_alert_triggers(REGCLASS)',
        'alert_partition_is_complete(REGCLASS)',
        'alert_partition_has_triggers(REGCLASS)',
        'alert_partition_has_unique_index(REGCLASS)',
        'complete_alert_partition(REGCLASS)',
        'make_alert_partition(TIMESTAMPTZ)',
        'ensure_alert_partition(TIMESTAMPTZ)',
        'ensure_alert_month_ahead(INTEGER, INTEGER)',
        'ensure_alert_partitions(INTEGER)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET TimeZone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET DateStyle = ''ISO''', v_function);
    END LOOP;

    FOREACH v_function IN ARRAY ARRAY[
        'hosts_keep_alerts()',
        'ensure_alert_partition(TIMESTAMPTZ)',
        'ensure_alert_month_ahead(INTEGER, INTEGER)',
        'ensure_alert_partitions(INTEGER)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET lock_timeout = ''1s''', v_function);
    END LOOP;
END
$$;

-- They run with the rights of their owner, so others may call them only when the owner says so.
REVOKE EXECUTE ON FUNCTION record_maintenance(TEXT, TEXT, JSONB) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION list_alert_partitions() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION ensure_alert_month_ahead(INTEGER, INTEGER) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION ensure_alert_partitions(INTEGER) FROM PUBLIC;

-- Nobody needs a right to be checked by a trigger. With it, a role could attach these functions to a table of its own, and have
-- its own casts run with the rights of their owner.
REVOKE EXECUTE ON FUNCTION alerts_check_hosts() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION alerts_check_resends() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION hosts_keep_alerts() FROM PUBLIC;
