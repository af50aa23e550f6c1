DROP TRIGGER hosts_refuse_truncate ON hosts;
DROP TRIGGER hosts_keep_alerts ON hosts;
DROP TRIGGER hosts_keep_identity ON hosts;
DROP FUNCTION hosts_refuse_truncate();
DROP FUNCTION hosts_keep_alerts();
DROP FUNCTION hosts_keep_identity();
DROP FUNCTION add_alert_triggers(REGCLASS);
DROP FUNCTION alerts_check_resends() CASCADE;
DROP FUNCTION alerts_check_hosts() CASCADE;
