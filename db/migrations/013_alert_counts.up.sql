-- Alerts counted by the hour, so that a chart need not read them: docs/design/alert-counts.md says why the sums are exact.

-- The hours are closed up to settled_through. Up to marked_through, writers add what they change to the counts; between the two, some may
-- not do so yet.
CREATE TABLE alert_count_state (
    only_row        BOOLEAN     NOT NULL DEFAULT true,
    settled_through TIMESTAMPTZ NOT NULL,
    marked_through  TIMESTAMPTZ NOT NULL,
    -- The transaction that set the mark, and the one before which all must have ended.
    marked_by       XID8,
    wait_for        XID8,
    CONSTRAINT alert_count_state_pkey PRIMARY KEY (only_row),
    CONSTRAINT alert_count_state_has_one_row CHECK (only_row),
    CONSTRAINT alert_count_state_settled_is_marked CHECK (settled_through <= marked_through)
);

INSERT INTO alert_count_state (settled_through, marked_through)
VALUES ('-infinity', '-infinity');

-- The count of a closed hour is the sum of its rows. No key: writers add rows and change none, so that they never wait for each other.
CREATE TABLE alert_hour_counts (
    hour      TIMESTAMPTZ    NOT NULL,
    alerts    BIGINT         NOT NULL,
    severity  severity_level NOT NULL,
    dimension TEXT           NOT NULL,
    -- Of the dimension; empty for the total.
    value     TEXT           NOT NULL,
    CONSTRAINT alert_hour_counts_dimension CHECK (dimension IN ('total', 'type', 'host', 'rule'))
);

CREATE INDEX alert_hour_counts_dimension_hour
    ON alert_hour_counts (dimension, hour);

-- The hours that were counted, each in one partition. It holds for that table only as it was then attached and stored: attaching it
-- again gives its row of pg_inherits another xmin, and TRUNCATE gives it another file.
CREATE TABLE rolled_alert_hours (
    hour         TIMESTAMPTZ NOT NULL,
    partition_id OID         NOT NULL,
    attached_by  XID         NOT NULL,
    stored_as    OID         NOT NULL,
    CONSTRAINT rolled_alert_hours_pkey PRIMARY KEY (hour)
);

-- Every trigger of alerts and of its partitions. On a table that is no partition at the moment, those that count do nothing.
CREATE FUNCTION alert_triggers() RETURNS TABLE (
    name              TEXT,
    event             TEXT,
    transition_tables TEXT,
    function          TEXT
)
LANGUAGE sql
IMMUTABLE
AS $$
    VALUES
        ('alerts_check_hosts_on_insert', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_check_hosts'),
        ('alerts_check_hosts_on_update', 'UPDATE', 'NEW TABLE AS written_alerts', 'alerts_check_hosts'),
        ('alerts_check_resends', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_check_resends'),
        ('alerts_count_inserted', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_count_changes'),
        ('alerts_count_updated', 'UPDATE', 'NEW TABLE AS written_alerts OLD TABLE AS removed_alerts', 'alerts_count_changes'),
        ('alerts_count_deleted', 'DELETE', 'OLD TABLE AS removed_alerts', 'alerts_count_changes')
$$;

CREATE OR REPLACE FUNCTION add_alert_triggers(p_table REGCLASS) RETURNS VOID
LANGUAGE plpgsql
AS $$
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
$$;

CREATE OR REPLACE FUNCTION alert_partition_has_triggers(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT count(*) = (SELECT count(*) FROM alert_triggers())
    FROM pg_trigger
    JOIN alert_triggers() AS ours
        ON ours.name = tgname
    WHERE tgrelid = p_partition
$$;

-- Adds what a statement changed in marked hours to their counts, in its own transaction. No lock and no exception block.
CREATE FUNCTION alerts_count_changes() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- An alert cannot be moved into another partition. PostgreSQL would delete it there and insert it here, and where that is done by MERGE, the
-- triggers of the statement get to see neither: no count, no journal and no check of its host would know of it.
CREATE FUNCTION alerts_keep_partition() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
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
$$;

-- On alerts alone: PostgreSQL gives it to each partition while that is attached.
CREATE TRIGGER alerts_keep_partition
    BEFORE UPDATE ON alerts
    FOR EACH ROW
    WHEN (OLD.received_at IS DISTINCT FROM NEW.received_at)
    EXECUTE FUNCTION alerts_keep_partition();

-- Whether whatever writes to this table by its name is counted.
CREATE FUNCTION alerts_are_counted(p_table REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
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
$$;

-- The partitions whose hours can be closed: tables of the owner of alerts that can be read, with finite bounds of a year at the most, on
-- which the triggers fire, as they do on alerts. Others are read for every answer.
CREATE FUNCTION list_countable_alert_partitions() RETURNS TABLE (
    partition_id OID,
    attached_by  XID,
    stored_as    OID,
    range_from   TIMESTAMPTZ,
    range_to     TIMESTAMPTZ
)
LANGUAGE sql
STABLE
AS $$
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
$$;

-- The hours from and to the given moments whose sums are their counts at this moment, and the partition of each as it is attached. None,
-- while what is written to alerts is not counted.
CREATE FUNCTION list_closed_alert_hours(p_from TIMESTAMPTZ, p_to TIMESTAMPTZ) RETURNS TABLE (
    hour         TIMESTAMPTZ,
    partition_id OID,
    attached_by  XID
)
LANGUAGE sql
STABLE
ROWS 1000
AS $$
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
$$;

-- The hours before a moment that can be closed and are not.
CREATE FUNCTION list_open_alert_hours(p_through TIMESTAMPTZ) RETURNS TABLE (
    partition_id OID,
    hour         TIMESTAMPTZ
)
LANGUAGE sql
STABLE
AS $$
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
$$;

-- Counts hours of one partition. One statement, and so one snapshot: what was added and is visible is in the rows as well, and is
-- replaced; what is added by a transaction that ends later stays, and is added to the sum.
CREATE FUNCTION close_alert_hours(p_partition OID, p_hours TIMESTAMPTZ[]) RETURNS INTEGER
LANGUAGE plpgsql
AS $$
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
$$;

-- Takes out the counts of hours that are closed no more: their partition is gone, or is another one now.
CREATE FUNCTION forget_gone_alert_hours(p_max_hours INTEGER) RETURNS INTEGER
LANGUAGE sql
AS $$
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
$$;

-- Makes one row of many, where writers added often, and takes out what was added to hours that are not closed: what is visible now will
-- be in the rows when they are.
CREATE FUNCTION merge_alert_hour_counts(p_max_hours INTEGER) RETURNS INTEGER
LANGUAGE sql
AS $$
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
$$;

-- Moves the mark, as far as that is possible at this moment. Each of the three steps belongs to a transaction of its own: setting the mark,
-- writing down which transactions may not have seen it, and finding that all of these have ended. Nothing waits.
-- p_later_id is a transaction id that was taken after p_seen_mark was seen. (pg_snapshot_xmax does not do: ids beyond it may be taken already.)
CREATE FUNCTION move_alert_count_mark(
    p_seen_mark  TIMESTAMPTZ,
    p_seen_by    XID8,
    p_later_id   XID8,
    OUT moved BOOLEAN,
    OUT is_settled BOOLEAN,
    OUT settled_through TIMESTAMPTZ
)
LANGUAGE plpgsql
AS $$
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
$$;

-- One step of counting, for any client or scheduler: closes up to so many hours, the newest first. It never waits for others, and what it
-- does is short; to be called until state is no longer 'working'. 'waiting': for transactions that are older than the newest mark, so that the
-- hours before it are read for the time being. 'busy': another one is at work. 'done': nothing is left.
-- It has to be the first that its transaction does, at READ COMMITTED.
CREATE FUNCTION roll_up_alert_hours(
    p_max_hours INTEGER DEFAULT 24,
    OUT state TEXT,
    OUT closed_hours INTEGER,
    OUT forgotten_hours INTEGER,
    OUT merged_hours INTEGER,
    OUT settled_through TIMESTAMPTZ
)
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Opens hours again: they are read until they are counted anew.
CREATE FUNCTION reopen_alert_hours(p_hours TIMESTAMPTZ[]) RETURNS INTEGER
LANGUAGE sql
SECURITY DEFINER
AS $$
    WITH reopened AS (
        DELETE FROM rolled_alert_hours
        WHERE hour = ANY (p_hours)
        RETURNING hour
    )
    SELECT count(*)::integer
    FROM reopened
$$;

-- As in 006 and 010.
DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'alert_triggers()',
        'add_alert_triggers(REGCLASS)',
        'alert_partition_has_triggers(REGCLASS)',
        'alerts_count_changes()',
        'alerts_keep_partition()',
        'alerts_are_counted(REGCLASS)',
        'list_countable_alert_partitions()',
        'list_closed_alert_hours(TIMESTAMPTZ, TIMESTAMPTZ)',
        'list_open_alert_hours(TIMESTAMPTZ)',
        'close_alert_hours(OID, TIMESTAMPTZ[])',
        'forget_gone_alert_hours(INTEGER)',
        'merge_alert_hour_counts(INTEGER)',
        'move_alert_count_mark(TIMESTAMPTZ, XID8, XID8)',
        'roll_up_alert_hours(INTEGER)',
        'reopen_alert_hours(TIMESTAMPTZ[])'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        -- A setting more costs each statement that writes alerts a little, and these functions need no other.
        CONTINUE WHEN v_function IN ('alerts_count_changes()', 'alerts_keep_partition()');
        EXECUTE format('ALTER FUNCTION %s SET TimeZone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET DateStyle = ''ISO''', v_function);
    END LOOP;
END
$$;

ALTER FUNCTION roll_up_alert_hours(INTEGER) SET lock_timeout = '1s';

REVOKE EXECUTE ON FUNCTION alerts_count_changes() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION roll_up_alert_hours(INTEGER) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION reopen_alert_hours(TIMESTAMPTZ[]) FROM PUBLIC;

SELECT add_alert_triggers('alerts');

SELECT add_alert_triggers(inhrelid)
FROM pg_inherits
JOIN pg_class
    ON pg_class.oid = inhrelid
WHERE inhparent = 'alerts'::regclass
    AND relkind IN ('r', 'p');
