-- The counts can be made again from the alerts, so nothing is lost.

DROP FUNCTION reopen_alert_hours(TIMESTAMPTZ[]);
DROP FUNCTION roll_up_alert_hours(INTEGER);
DROP FUNCTION move_alert_count_mark(TIMESTAMPTZ, XID8, XID8);
DROP FUNCTION merge_alert_hour_counts(INTEGER);
DROP FUNCTION forget_gone_alert_hours(INTEGER);
DROP FUNCTION close_alert_hours(OID, TIMESTAMPTZ[]);
DROP FUNCTION list_open_alert_hours(TIMESTAMPTZ);
DROP FUNCTION list_closed_alert_hours(TIMESTAMPTZ, TIMESTAMPTZ);
DROP FUNCTION list_countable_alert_partitions();
DROP FUNCTION alerts_are_counted(REGCLASS);
DROP TRIGGER alerts_keep_partition ON alerts;
DROP FUNCTION alerts_keep_partition();
-- With its triggers, also those of months that are detached.
DROP FUNCTION alerts_count_changes() CASCADE;

-- The functions as 010 made them.

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

CREATE OR REPLACE FUNCTION alert_partition_has_triggers(p_partition REGCLASS) RETURNS BOOLEAN
LANGUAGE sql
STABLE
AS $$
    SELECT count(*) = 3
    FROM pg_trigger
    WHERE tgrelid = p_partition
        AND tgname IN ('alerts_check_hosts_on_insert', 'alerts_check_hosts_on_update', 'alerts_check_resends')
$$;

DROP FUNCTION alert_triggers();

DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'add_alert_triggers(REGCLASS)',
        'alert_partition_has_triggers(REGCLASS)'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET TimeZone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET DateStyle = ''ISO''', v_function);
    END LOOP;
END
$$;

DROP TABLE rolled_alert_hours;
DROP TABLE alert_hour_counts;
DROP TABLE alert_count_state;
