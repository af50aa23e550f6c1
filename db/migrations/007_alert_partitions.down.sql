DROP FUNCTION ensure_alert_partition(TIMESTAMPTZ);
DROP FUNCTION complete_alert_partition(REGCLASS);
DROP FUNCTION alert_partition_is_complete(REGCLASS);
