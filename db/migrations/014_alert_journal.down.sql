-- The journal is kept for some days alone, and tells of alerts that stay.

-- With its triggers, also those of months that are detached.
DROP FUNCTION alerts_write_journal() CASCADE;
DROP FUNCTION prune_alert_journal(INTERVAL);
DROP FUNCTION expire_alert_tails();
DROP FUNCTION renew_alert_journal();
DROP FUNCTION alert_journal_identity();

-- The function as 013 made it.

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
        ('alerts_count_deleted', 'DELETE', 'OLD TABLE AS removed_alerts', 'alerts_count_changes')
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION alert_triggers() SET search_path = %I, pg_temp', current_schema());
    EXECUTE 'ALTER FUNCTION alert_triggers() SET TimeZone = ''UTC''';
    EXECUTE 'ALTER FUNCTION alert_triggers() SET DateStyle = ''ISO''';
END
$$;

DROP TABLE alert_journal_state;
DROP TABLE alert_journal;
