-- Keys and indexes of alerts.
--
-- A resent alert carries the same alert_id but gets a new received_at, so the key (alert_id, received_at) cannot
-- catch it. PostgreSQL allows a unique index without the partition key on each partition, though not on the parent:
-- (alert_id, host_id) on every month. It holds host_id so that the table can be distributed by host.
--
-- On a large table, build the indexes of each partition first, with CREATE [UNIQUE] INDEX CONCURRENTLY under
-- the names that stand below: those that exist are taken over instead of built.

-- The row-level foreign key costs about half of the ingest rate; migration 006 checks hosts a statement at a time.
-- Looked up by shape, because other tools gave these constraints other names.
DO $$
DECLARE
    v_constraint NAME;
BEGIN
    FOR v_constraint IN
        SELECT conname
        FROM pg_constraint
        WHERE conrelid = 'alerts'::regclass
            AND (contype = 'p' OR (contype = 'f' AND confrelid = 'hosts'::regclass))
    LOOP
        EXECUTE format('ALTER TABLE alerts DROP CONSTRAINT %I', v_constraint);
    END LOOP;
END
$$;

-- The newest page without a filter.
CREATE INDEX alerts_received_at_alert_id_idx
    ON alerts (received_at, alert_id);

-- The newest page of one host.
CREATE INDEX alerts_host_id_received_at_idx
    ON alerts (host_id, received_at, alert_id);

-- The newest page of a rare severity. Most alerts are INFO and stand in neither.
CREATE INDEX alerts_warn_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'WARN';

CREATE INDEX alerts_critical_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'CRITICAL';

DO $$
DECLARE
    v_partition REGCLASS;
BEGIN
    FOR v_partition IN
        SELECT inhrelid::regclass
        FROM pg_inherits
        WHERE inhparent = 'alerts'::regclass
    LOOP
        EXECUTE format(
            'CREATE UNIQUE INDEX IF NOT EXISTS %I ON %s (alert_id, host_id)',
            (SELECT relname FROM pg_class WHERE oid = v_partition) || '_stored_once',
            v_partition
        );
    END LOOP;
END
$$;
