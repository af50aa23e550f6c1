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
            'DROP INDEX IF EXISTS %s.%I',
            (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = v_partition),
            (SELECT relname FROM pg_class WHERE oid = v_partition) || '_stored_once'
        );
    END LOOP;
END
$$;

DROP INDEX alerts_critical_received_at_idx;
DROP INDEX alerts_warn_received_at_idx;
DROP INDEX alerts_host_id_received_at_idx;
DROP INDEX alerts_received_at_alert_id_idx;

ALTER TABLE alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (alert_id, received_at),
    ADD CONSTRAINT alerts_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (host_id);
