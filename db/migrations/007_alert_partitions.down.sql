DROP FUNCTION ensure_alert_partition(TIMESTAMPTZ);
