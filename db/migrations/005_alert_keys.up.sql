-- Keys and indexes of alerts.
--
-- A resent alert carries the same alert_id but gets a new received_at, so the key (alert_id, received_at) cannot
-- catch it. PostgreSQL allows a unique index without the partition key on each partition, though not on the parent:
-- (alert_id, host_id) on every month. It holds host_id so that the table can be distributed by host.
--
-- On a large table, build the indexes of each partition first, by CREATE [UNIQUE] INDEX CONCURRENTLY: those that are
-- there are taken over instead of built, and then this file holds its locks for a moment only. `migrate up` does that;
-- for other tools docs/operations/adopt-a-database.md has the statements.

-- Both locks first. hosts is part of the foreign key. It is not waited for: whoever holds it and waits for alerts would
-- wait for this transaction, and this one for them, until one is chosen as the victim of the deadlock.
DO $$
DECLARE
    v_tries_left INTEGER := 25;
BEGIN
    LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE;
    LOOP
        BEGIN
            LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE NOWAIT;
            EXIT;
        EXCEPTION
            WHEN lock_not_available THEN
                v_tries_left := v_tries_left - 1;
                IF v_tries_left = 0 THEN
                    RAISE;
                END IF;
                PERFORM pg_sleep(0.02);
        END;
    END LOOP;
END
$$;

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
            AND pg_get_indexdef(index.oid) ~ 'btree \((received_at, alert_id|host_id, received_at, alert_id|alert_id, host_id)\)'
    LOOP
        EXECUTE format('DROP INDEX %s', v_leftover);
    END LOOP;
END
$$;

-- An index of alerts that a hand made may be one of those below, or have the name of one (PostgreSQL gives such names by
-- itself). The former is taken over, the latter gets out of the way.
DO $$
DECLARE
    v_index RECORD;
BEGIN
    FOR v_index IN
        SELECT
            found.relname,
            found.is_same,
            CASE WHEN found.is_same THEN wanted.index_name ELSE wanted.index_name || '_before' END AS new_name
        FROM (VALUES
            ('alerts_received_at_alert_id_idx', 'btree (received_at, alert_id)'),
            ('alerts_host_id_received_at_idx',  'btree (host_id, received_at, alert_id)'),
            ('alerts_warn_received_at_idx',     'btree (received_at, alert_id) WHERE (severity = ''WARN''::severity_level)'),
            ('alerts_critical_received_at_idx', 'btree (received_at, alert_id) WHERE (severity = ''CRITICAL''::severity_level)')
        ) AS wanted (index_name, definition)
        CROSS JOIN LATERAL (
            SELECT
                index.relname,
                indisvalid
                    AND NOT indisunique
                    AND split_part(pg_get_indexdef(indexrelid), ' USING ', 2) = wanted.definition AS is_same
            FROM pg_index
            JOIN pg_class AS index
                ON index.oid = indexrelid
            WHERE indrelid = 'alerts'::regclass
        ) AS found
        WHERE (found.relname = wanted.index_name) <> found.is_same
        -- First out of the way, then into place.
        ORDER BY found.is_same
    LOOP
        IF NOT v_index.is_same OR to_regclass(format('%I', v_index.new_name)) IS NULL THEN
            EXECUTE format('ALTER INDEX %I RENAME TO %I', v_index.relname, v_index.new_name);
        END IF;
    END LOOP;
END
$$;

-- The newest page without a filter.
CREATE INDEX IF NOT EXISTS alerts_received_at_alert_id_idx
    ON alerts (received_at, alert_id);

-- The newest page of one host.
CREATE INDEX IF NOT EXISTS alerts_host_id_received_at_idx
    ON alerts (host_id, received_at, alert_id);

-- The newest page of a rare severity. Most alerts are INFO and stand in neither.
CREATE INDEX IF NOT EXISTS alerts_warn_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'WARN';

CREATE INDEX IF NOT EXISTS alerts_critical_received_at_idx
    ON alerts (received_at, alert_id)
    WHERE severity = 'CRITICAL';

-- Under the old key an alert may stand twice in a month. That month stays without the index, and counts as incomplete.
-- tripwire.months_with_duplicates holds the partitions (their oids, with commas between) of which that is known, so that
-- no time goes into finding it out while the tables are locked.
DO $$
DECLARE
    v_partition REGCLASS;
    v_known TEXT[] := string_to_array(current_setting('tripwire.months_with_duplicates', true), ',');
BEGIN
    FOR v_partition IN
        SELECT partition.oid
        FROM pg_inherits
        JOIN pg_class AS partition
            ON partition.oid = pg_inherits.inhrelid
        WHERE pg_inherits.inhparent = 'alerts'::regclass
            AND partition.relkind = 'r'
            AND NOT EXISTS (
                SELECT
                FROM pg_index
                WHERE indrelid = partition.oid
                    AND indisunique
                    AND indisvalid
                    AND indpred IS NULL
                    AND pg_get_indexdef(indexrelid) LIKE '%(alert_id, host_id)'
            )
    LOOP
        BEGIN
            IF v_partition::oid::text = ANY (v_known) THEN
                RAISE unique_violation;
            END IF;
            EXECUTE format(
                'CREATE UNIQUE INDEX %I ON %s (alert_id, host_id)',
                (SELECT relname FROM pg_class WHERE oid = v_partition) || '_stored_once',
                v_partition
            );
        EXCEPTION
            WHEN unique_violation THEN
                RAISE WARNING '% holds alerts twice, so it has no unique index and cannot refuse resends', v_partition;
        END;
    END LOOP;
END
$$;

-- Those of the Go version, which the indexes above make superfluous.
DO $$
DECLARE
    v_index REGCLASS;
BEGIN
    FOR v_index IN
        SELECT pg_index.indexrelid
        FROM pg_index
        JOIN pg_class AS index
            ON index.oid = pg_index.indexrelid
        WHERE pg_index.indrelid = 'alerts'::regclass
            AND index.relname IN ('idx_alerts_host_id', 'idx_alerts_severity_received_at')
    LOOP
        EXECUTE format('DROP INDEX %s', v_index);
    END LOOP;
END
$$;

-- The keys of the other tables get the names that they have here, whatever another tool or a hand called them; a unique
-- index without a constraint gets its constraint.
DO $$
DECLARE
    v_key RECORD;
BEGIN
    FOR v_key IN
        WITH wanted AS (
            SELECT
                table_name::regclass AS table_id,
                kind,
                key_name,
                (
                    SELECT array_agg(attnum ORDER BY position)
                    FROM unnest(column_names) WITH ORDINALITY AS key_column (column_name, position)
                    JOIN pg_attribute
                        ON attrelid = table_name::regclass
                        AND attname = column_name
                ) AS columns
            FROM (VALUES
                ('hosts',          'p', 'hosts_pkey',                 '{host_id}'::name[]),
                ('hosts',          'u', 'hosts_hostname_unique',      '{hostname}'),
                ('tripwire_rules', 'p', 'tripwire_rules_pkey',        '{rule_id}'),
                ('tripwire_rules', 'f', 'fk_rules_host',              '{host_id}'),
                ('audit_entries',  'p', 'audit_entries_pkey',         '{entry_id}'),
                ('audit_entries',  'u', 'audit_host_sequence_unique', '{host_id, sequence_num}'),
                ('audit_entries',  'f', 'fk_audit_host',              '{host_id}')
            ) AS keys (table_name, kind, key_name, column_names)
        ),
        missing AS (
            SELECT wanted.*
            FROM wanted
            WHERE NOT EXISTS (
                SELECT
                FROM pg_constraint
                WHERE conrelid = wanted.table_id
                    AND conname = wanted.key_name
            )
        )
        SELECT DISTINCT ON (missing.table_id, missing.key_name)
            missing.table_id,
            missing.key_name,
            conname,
            unique_index.relname AS index_name
        FROM missing
        LEFT JOIN pg_constraint
            ON conrelid = missing.table_id
            AND contype = missing.kind
            AND conkey = missing.columns
            AND (contype <> 'f' OR confrelid = 'hosts'::regclass)
            AND NOT condeferrable
        LEFT JOIN pg_index
            ON pg_constraint.oid IS NULL
            AND missing.kind = 'u'
            AND indrelid = missing.table_id
            AND indisunique
            AND indisvalid
            AND indimmediate
            AND indpred IS NULL
            AND indkey::text = array_to_string(missing.columns, ' ')
        LEFT JOIN pg_class AS unique_index
            ON unique_index.oid = indexrelid
        WHERE conname IS NOT NULL
            OR unique_index.relname IS NOT NULL
        ORDER BY missing.table_id, missing.key_name, conname
    LOOP
        IF v_key.conname IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', v_key.table_id, v_key.conname, v_key.key_name);
        ELSE
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I', v_key.table_id, v_key.key_name, v_key.index_name);
        END IF;
    END LOOP;
END
$$;

CREATE INDEX IF NOT EXISTS idx_rules_host_id
    ON tripwire_rules (host_id);
