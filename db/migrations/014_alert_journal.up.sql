-- Which transactions wrote alerts, for those who follow them live: docs/design/alert-tail.md says why they miss none and get none twice.

-- One row a statement that writes alerts and hour of received_at, by a trigger: in the transaction of the alerts, and in its savepoint, so
-- that its xmin is theirs.
CREATE TABLE alert_journal (
    -- Of the transaction itself, also where xmin is that of a savepoint.
    xid        XID8        NOT NULL,
    oldest     TIMESTAMPTZ NOT NULL,
    newest     TIMESTAMPTZ NOT NULL,
    alerts     BIGINT      NOT NULL,
    written_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX alert_journal_xid
    ON alert_journal (xid);

CREATE INDEX alert_journal_written_at
    ON alert_journal (written_at);

CREATE TABLE alert_journal_state (
    only_row       BOOLEAN     NOT NULL DEFAULT true,
    -- Numbers of transactions mean something in the database alone in which they were given.
    identity       TEXT        NOT NULL,
    -- The transaction that began the journal. No place is good any more when it is begun anew.
    begun_by       XID8        NOT NULL,
    -- No row was removed that has a higher xid, or was written later.
    pruned_through XID8        NOT NULL,
    complete_since TIMESTAMPTZ NOT NULL,
    CONSTRAINT alert_journal_state_pkey PRIMARY KEY (only_row),
    CONSTRAINT alert_journal_state_has_one_row CHECK (only_row)
);

-- No exception block: it would be a savepoint of its own, and the rows would have another xmin than the alerts.
CREATE FUNCTION alerts_write_journal() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Which database this journal belongs to. A dump restored elsewhere, and a copy made with TEMPLATE, are others.
CREATE FUNCTION alert_journal_identity() RETURNS TEXT
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
AS $$
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
$$;

-- Begins the journal anew where it came from another database. Returns whether that was so.
CREATE FUNCTION renew_alert_journal() RETURNS BOOLEAN
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Makes every tail that was begun expire, instead of missing alerts in silence. For the transaction of a statement that writes all alerts
-- anew, such as ALTER TABLE … ADD COLUMN with a volatile default: they have another xmin then than their rows of the journal.
CREATE FUNCTION expire_alert_tails() RETURNS VOID
LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE alert_journal_state IN SHARE ROW EXCLUSIVE MODE;
    UPDATE alert_journal_state
    SET identity = 'expired';
    PERFORM renew_alert_journal();
END
$$;

-- Removes what is older than the given time, for any client or scheduler. Returns how many rows. The newest row stays: by it, readers see
-- that the database was not set back. Rows of transactions that are newer than one that still runs stay as well.
CREATE FUNCTION prune_alert_journal(p_keep INTERVAL DEFAULT INTERVAL '72 hours') RETURNS BIGINT
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
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
$$;

-- Every trigger of alerts and of its partitions.
CREATE OR REPLACE FUNCTION alert_triggers() RETURNS TABLE (
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
        ('alerts_count_deleted', 'DELETE', 'OLD TABLE AS removed_alerts', 'alerts_count_changes'),
        ('alerts_write_journal_on_insert', 'INSERT', 'NEW TABLE AS written_alerts', 'alerts_write_journal'),
        ('alerts_write_journal_on_update', 'UPDATE', 'NEW TABLE AS written_alerts', 'alerts_write_journal')
$$;

-- As in 006, 010 and 013. A setting more costs each statement that writes alerts a little, so the trigger has one alone.
DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'alerts_write_journal()',
        'alert_journal_identity()',
        'renew_alert_journal()',
        'expire_alert_tails()',
        'prune_alert_journal(INTERVAL)',
        'alert_triggers()'
    ]
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
    EXECUTE 'ALTER FUNCTION alert_triggers() SET TimeZone = ''UTC''';
    EXECUTE 'ALTER FUNCTION alert_triggers() SET DateStyle = ''ISO''';
    EXECUTE 'ALTER FUNCTION renew_alert_journal() SET lock_timeout = ''1s''';
    EXECUTE 'ALTER FUNCTION expire_alert_tails() SET lock_timeout = ''1s''';
    EXECUTE 'ALTER FUNCTION prune_alert_journal(INTERVAL) SET lock_timeout = ''1s''';
END
$$;

-- They run with the rights of their owner, so others may call them only when the owner says so.
REVOKE EXECUTE ON FUNCTION alerts_write_journal() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION alert_journal_identity() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION renew_alert_journal() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION expire_alert_tails() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION prune_alert_journal(INTERVAL) FROM PUBLIC;

SELECT add_alert_triggers('alerts');

SELECT add_alert_triggers(inhrelid)
FROM pg_inherits
JOIN pg_class
    ON pg_class.oid = inhrelid
WHERE inhparent = 'alerts'::regclass
    AND relkind IN ('r', 'p');

-- Once no writer can be without the trigger.
SELECT renew_alert_journal();
