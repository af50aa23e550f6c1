LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE;

CREATE INDEX alerts_received_at_alert_id_idx
    ON alerts (received_at, alert_id);

CREATE INDEX alerts_host_id_received_at_idx
    ON alerts (host_id, received_at, alert_id);

CREATE INDEX alerts_warn_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'WARN';

CREATE INDEX alerts_critical_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'CRITICAL';

DROP INDEX alerts_skewed_received_idx;
DROP INDEX alerts_skewed_timestamp_idx;
DROP INDEX alerts_type_critical_received_idx;
DROP INDEX alerts_type_warn_received_idx;
DROP INDEX alerts_host_critical_received_idx;
DROP INDEX alerts_host_warn_received_idx;
DROP INDEX alerts_critical_received_idx;
DROP INDEX alerts_warn_received_idx;
DROP INDEX alerts_type_received_idx;
DROP INDEX alerts_rule_received_idx;
DROP INDEX alerts_host_received_idx;
DROP INDEX alerts_received_idx;
