-- What protects the audit log: docs/audit-chain.md specifies the hashes, docs/design/audit.md says what they are for.

ALTER TABLE audit_entries
    -- 0: nothing protects the row. What was there before, and what a client inserts that knows no better.
    ADD COLUMN hash_version SMALLINT NOT NULL DEFAULT 0,
    -- The hash over the whole row, where event_hash is the caller's own.
    ADD COLUMN row_hash     CHAR(64);

-- Prefixes of chains that were exported and deleted. The manifest is signed; the row is what a chain then begins with.
CREATE TABLE audit_prunings (
    pruning_id         UUID        NOT NULL DEFAULT gen_random_uuid(),
    host_id            UUID        NOT NULL,
    -- The last entry that was deleted.
    through_sequence   BIGINT      NOT NULL,
    through_event_hash CHAR(64)    NOT NULL,
    through_link_hash  CHAR(64)    NOT NULL,
    through_created_at TIMESTAMPTZ NOT NULL,
    manifest           TEXT        NOT NULL,
    pruned_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT audit_prunings_pkey PRIMARY KEY (pruning_id),
    CONSTRAINT audit_prunings_host_fkey FOREIGN KEY (host_id) REFERENCES hosts (host_id),
    CONSTRAINT audit_prunings_once UNIQUE (host_id, through_sequence)
);

-- Locks the chains of some hosts until the transaction ends, always in one order, and returns their heads. A chain without entries
-- begins at its newest pruning, or at its genesis. The statements of a function see what was committed before the lock was theirs.
CREATE FUNCTION lock_audit_chains(p_host_ids UUID[]) RETURNS TABLE (
    host_id      UUID,
    sequence_num BIGINT,
    event_hash   TEXT,
    link_hash    TEXT,
    created_at   TIMESTAMPTZ,
    server_now   TIMESTAMPTZ
)
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(keys.key)
    FROM (
        SELECT DISTINCT hashtextextended(
            'tripwire-storage audit ' || given.id,
            'audit_entries'::regclass::bigint
        ) AS key
        FROM unnest(p_host_ids) AS given (id)
        ORDER BY key
    ) AS keys;

    RETURN QUERY
    SELECT
        given.id,
        coalesce(head.sequence_num, pruned.through_sequence, 0),
        coalesce(head.event_hash, pruned.through_event_hash, repeat('0', 64))::text,
        coalesce(head.link_hash, pruned.through_link_hash, repeat('0', 64))::text,
        coalesce(head.created_at, pruned.through_created_at),
        clock_timestamp()
    FROM (SELECT DISTINCT id FROM unnest(p_host_ids) AS each (id)) AS given
    LEFT JOIN LATERAL (
        SELECT
            entry.sequence_num,
            entry.event_hash,
            CASE
                WHEN entry.hash_version = 0
                    THEN encode(sha256(convert_to('tripwire-storage/audit-entry/v0' || chr(10) || entry.event_hash, 'UTF8')), 'hex')
                ELSE coalesce(entry.row_hash, entry.event_hash)
            END AS link_hash,
            entry.created_at
        FROM audit_entries AS entry
        WHERE entry.host_id = given.id
        ORDER BY entry.sequence_num DESC
        LIMIT 1
    ) AS head
        ON true
    LEFT JOIN LATERAL (
        SELECT pruning.*
        FROM audit_prunings AS pruning
        WHERE pruning.host_id = given.id
        ORDER BY pruning.through_sequence DESC
        LIMIT 1
    ) AS pruned
        ON true;
END
$$;

-- Whichever client writes: an entry continues its chain, or is refused.
CREATE FUNCTION audit_entries_continue_chain() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    v_broken RECORD;
BEGIN
    SELECT
        written.host_id,
        written.sequence_num
    INTO v_broken
    FROM written_entries AS written
    LEFT JOIN audit_entries AS previous
        ON previous.host_id = written.host_id
        AND previous.sequence_num = written.sequence_num - 1
    LEFT JOIN audit_prunings AS pruned
        ON pruned.host_id = written.host_id
        AND pruned.through_sequence = written.sequence_num - 1
    WHERE written.prev_hash IS DISTINCT FROM coalesce(
            previous.event_hash,
            pruned.through_event_hash,
            CASE WHEN written.sequence_num = 1 THEN repeat('0', 64) END
        )
        OR EXISTS (
            SELECT
            FROM audit_prunings AS later
            WHERE later.host_id = written.host_id
                AND later.through_sequence >= written.sequence_num
        )
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'audit_entries: entry % of host % does not continue the chain', v_broken.sequence_num, v_broken.host_id
            USING ERRCODE = 'check_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_entries_continue_chain',
                  HINT = 'its number must follow, and its prev_hash must be the event_hash of the entry before';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION audit_refuse_change() RETURNS TRIGGER
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '%: % is refused, the audit log is append-only', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              CONSTRAINT = 'audit_append_only';
END
$$;

-- Entries may be deleted that a pruning covers, and no others: its row, with the signed manifest, comes first.
CREATE FUNCTION audit_refuse_delete() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
BEGIN
    IF EXISTS (
        SELECT
        FROM deleted_entries AS deleted
        WHERE NOT EXISTS (
            SELECT
            FROM audit_prunings AS pruning
            WHERE pruning.host_id = deleted.host_id
                AND pruning.through_sequence >= deleted.sequence_num
        )
    ) THEN
        RAISE EXCEPTION '%: DELETE is refused, the audit log is append-only', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_append_only',
                  HINT = 'a prefix that was exported leaves with: tripwire-storage audit prune';
    END IF;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    v_function TEXT;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'lock_audit_chains(UUID[])',
        'audit_entries_continue_chain()',
        'audit_refuse_delete()'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION lock_audit_chains(UUID[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION audit_entries_continue_chain() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION audit_refuse_delete() FROM PUBLIC;

CREATE TRIGGER audit_entries_continue_chain
    AFTER INSERT ON audit_entries
    REFERENCING NEW TABLE AS written_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_entries_continue_chain();

CREATE TRIGGER audit_entries_refuse_update
    BEFORE UPDATE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_change();

CREATE TRIGGER audit_entries_refuse_delete
    AFTER DELETE ON audit_entries
    REFERENCING OLD TABLE AS deleted_entries
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_delete();

CREATE TRIGGER audit_prunings_refuse_change
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_prunings
    FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_change();

-- Also in a session that applies the changes of a replica, where other triggers rest.
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_refuse_update;
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER audit_entries_refuse_delete;
ALTER TABLE audit_prunings ENABLE ALWAYS TRIGGER audit_prunings_refuse_change;
