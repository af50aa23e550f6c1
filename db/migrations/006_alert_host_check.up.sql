-- Every alert belongs to a registered host, whichever client writes it.
--
-- One check a statement instead of one a row. It raises what a foreign key raises, so that clients need not care.
-- A host with alerts cannot be deleted or renumbered: that side locks alerts first, so no insert can slip between.

CREATE FUNCTION alerts_check_hosts() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    v_unknown_host UUID;
BEGIN
    SELECT written.host_id
    INTO v_unknown_host
    FROM (SELECT DISTINCT host_id FROM written_alerts) AS written
    WHERE NOT EXISTS (
        SELECT
        FROM hosts
        WHERE hosts.host_id = written.host_id
    )
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'alerts: there is no host %', v_unknown_host
            USING ERRCODE = 'foreign_key_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = 'host_id',
                  CONSTRAINT = 'alerts_host_is_registered';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION hosts_keep_alerts() RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    v_needed_host UUID;
BEGIN
    LOCK TABLE alerts IN SHARE MODE;

    SELECT removed.host_id
    INTO v_needed_host
    FROM removed_hosts AS removed
    WHERE NOT EXISTS (SELECT FROM hosts WHERE hosts.host_id = removed.host_id)
        AND EXISTS (SELECT FROM alerts WHERE alerts.host_id = removed.host_id)
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'hosts: alerts still belong to host %', v_needed_host
            USING ERRCODE = 'foreign_key_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  COLUMN = 'host_id',
                  CONSTRAINT = 'alerts_host_is_registered';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION hosts_keep_identity() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'hosts: a host_id cannot be changed'
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'host_id',
              CONSTRAINT = 'hosts_keep_identity';
END
$$;

CREATE TRIGGER hosts_keep_identity
    BEFORE UPDATE ON hosts
    FOR EACH ROW
    WHEN (OLD.host_id IS DISTINCT FROM NEW.host_id)
    EXECUTE FUNCTION hosts_keep_identity();

CREATE TRIGGER hosts_keep_alerts
    AFTER DELETE ON hosts
    REFERENCING OLD TABLE AS removed_hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_keep_alerts();

-- TRUNCATE hosts is refused by the foreign keys of rules and audit entries already, and CASCADE passes those by.
CREATE FUNCTION hosts_refuse_truncate() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'hosts: TRUNCATE would leave alerts without their hosts'
        USING ERRCODE = 'restrict_violation',
              HINT = 'use DELETE';
END
$$;

CREATE TRIGGER hosts_refuse_truncate
    BEFORE TRUNCATE ON hosts
    FOR EACH STATEMENT
    EXECUTE FUNCTION hosts_refuse_truncate();

-- A statement trigger fires for the table that the statement names: the parent, or a partition written directly.
CREATE FUNCTION add_alert_triggers(p_table REGCLASS) RETURNS VOID
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER alerts_check_hosts_on_insert
            AFTER INSERT ON %s
            REFERENCING NEW TABLE AS written_alerts
            FOR EACH STATEMENT
            EXECUTE FUNCTION alerts_check_hosts()',
        p_table
    );
    EXECUTE format(
        'CREATE TRIGGER alerts_check_hosts_on_update
            AFTER UPDATE ON %s
            REFERENCING NEW TABLE AS written_alerts
            FOR EACH STATEMENT
            EXECUTE FUNCTION alerts_check_hosts()',
        p_table
    );
END
$$;

SELECT add_alert_triggers('alerts');

SELECT add_alert_triggers(inhrelid)
FROM pg_inherits
WHERE inhparent = 'alerts'::regclass;
