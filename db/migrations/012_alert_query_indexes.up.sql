-- An index for whatever alerts are asked for: docs/design/alert-queries.md says which serves what.
--
-- They hold every column by which alerts are filtered, so that a filter is decided in the index, without a look at the rows; and all
-- that orders alerts, so that a page can begin anywhere.
--
-- On a large table, build the indexes of each partition first, by CREATE INDEX CONCURRENTLY: those that are there are taken over
-- instead of built. `migrate up` does that; for other tools docs/operations/adopt-a-database.md has the statements.

LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE;

-- What a build that was cut left behind must not be taken over: the index of the parent would not be valid either.
DO $$
DECLARE
    v_leftover REGCLASS;
BEGIN
    FOR v_leftover IN
        SELECT pg_index.indexrelid
        FROM pg_partition_tree('alerts') AS part
        JOIN pg_index
            ON pg_index.indrelid = part.relid
        JOIN pg_class AS index
            ON index.oid = pg_index.indexrelid
        WHERE part.isleaf
            AND NOT pg_index.indisvalid
            AND NOT index.relispartition
            AND pg_get_indexdef(index.oid) ~ (
                'btree \(.*received_at, alert_id(, host_id)?(, severity)?, tripwire_type\)'
                '|btree \(tripwire_type, received_at, alert_id, host_id(, severity)?\)'
                '|btree \("timestamp", received_at, alert_id, host_id\)'
                '|btree \(received_at, alert_id, host_id, "timestamp"\)'
            )
    LOOP
        EXECUTE format('DROP INDEX %s', v_leftover);
    END LOOP;
END
$$;

-- Without a host and without a rule.
CREATE INDEX alerts_received_idx
    ON alerts (received_at, alert_id, host_id, severity, tripwire_type);

CREATE INDEX alerts_host_received_idx
    ON alerts (host_id, received_at, alert_id, severity, tripwire_type);

CREATE INDEX alerts_rule_received_idx
    ON alerts (rule_name, received_at, alert_id, host_id, severity, tripwire_type);

CREATE INDEX alerts_type_received_idx
    ON alerts (tripwire_type, received_at, alert_id, host_id, severity);

-- Rare severities, of all hosts and of one. Most alerts are INFO and stand in none of these.
CREATE INDEX alerts_warn_received_idx
    ON alerts (received_at, alert_id, host_id, tripwire_type)
    WHERE severity = 'WARN';

CREATE INDEX alerts_critical_received_idx
    ON alerts (received_at, alert_id, host_id, tripwire_type)
    WHERE severity = 'CRITICAL';

CREATE INDEX alerts_host_warn_received_idx
    ON alerts (host_id, received_at, alert_id, tripwire_type)
    WHERE severity = 'WARN';

CREATE INDEX alerts_host_critical_received_idx
    ON alerts (host_id, received_at, alert_id, tripwire_type)
    WHERE severity = 'CRITICAL';

CREATE INDEX alerts_type_warn_received_idx
    ON alerts (tripwire_type, received_at, alert_id, host_id)
    WHERE severity = 'WARN';

CREATE INDEX alerts_type_critical_received_idx
    ON alerts (tripwire_type, received_at, alert_id, host_id)
    WHERE severity = 'CRITICAL';

-- By the clock of the sensor. Most alerts are received soon after they were sensed, and are found by when they were received; here are
-- the others, from hosts that were away or whose clock is wrong. At the ends of all time there is no moment earlier or later.
CREATE INDEX alerts_skewed_timestamp_idx
    ON alerts (timestamp, received_at, alert_id, host_id)
    WHERE timezone('UTC', received_at) < greatest(timezone('UTC', timestamp), make_timestamp(1, 1, 1, 0, 0, 0)) - make_interval(mins => 5)
        OR timezone('UTC', received_at) > least(timezone('UTC', timestamp), make_timestamp(9999, 12, 31, 0, 0, 0)) + make_interval(hours => 1);

CREATE INDEX alerts_skewed_received_idx
    ON alerts (received_at, alert_id, host_id, timestamp)
    WHERE timezone('UTC', received_at) < greatest(timezone('UTC', timestamp), make_timestamp(1, 1, 1, 0, 0, 0)) - make_interval(mins => 5)
        OR timezone('UTC', received_at) > least(timezone('UTC', timestamp), make_timestamp(9999, 12, 31, 0, 0, 0)) + make_interval(hours => 1);

-- Those of 005, which the ones above make superfluous.
DROP INDEX alerts_received_at_alert_id_idx;
DROP INDEX alerts_host_id_received_at_idx;
DROP INDEX alerts_warn_received_at_idx;
DROP INDEX alerts_critical_received_at_idx;
