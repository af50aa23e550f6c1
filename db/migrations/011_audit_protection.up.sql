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
    CONSTRAINT audit_prunings_once UNIQUE (host_id, through_sequence),
    -- Whoever verifies reads all of them.
    CONSTRAINT audit_prunings_manifest_is_short CHECK (octet_length(manifest) BETWEEN 1 AND 8192)
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

-- Which of the entries that a client means to write are there: its own, of a call that it repeats. Each is given by its id, or by its
-- place where the id is NULL, and with the SHA-256 of its payload as this server prints it. Of an entry with another host or payload only
-- the id is told, so that who may not read the log learns no more than that.
CREATE FUNCTION recognise_audit_entries(
    p_host_ids        UUID[],
    p_entry_ids       UUID[],
    p_sequence_nums   BIGINT[],
    p_payload_digests TEXT[]
) RETURNS TABLE (
    place         BIGINT,
    entry_id      UUID,
    is_recognised BOOLEAN,
    sequence_num  BIGINT,
    event_hash    TEXT,
    prev_hash     TEXT,
    created_at    TIMESTAMPTZ,
    row_hash      TEXT,
    hash_version  SMALLINT
)
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        given.place,
        entry.entry_id,
        compared.is_same,
        CASE WHEN compared.is_same THEN entry.sequence_num END,
        CASE WHEN compared.is_same THEN entry.event_hash::text END,
        CASE WHEN compared.is_same THEN entry.prev_hash::text END,
        CASE WHEN compared.is_same THEN entry.created_at END,
        CASE WHEN compared.is_same THEN entry.row_hash::text END,
        CASE WHEN compared.is_same THEN entry.hash_version END
    FROM unnest(p_host_ids, p_entry_ids, p_sequence_nums, p_payload_digests)
        WITH ORDINALITY AS given (host_id, entry_id, sequence_num, payload_digest, place)
    CROSS JOIN LATERAL (
        SELECT *
        FROM audit_entries AS by_id
        WHERE by_id.entry_id = given.entry_id
        UNION ALL
        SELECT *
        FROM audit_entries AS by_place
        WHERE given.entry_id IS NULL
            AND by_place.host_id = given.host_id
            AND by_place.sequence_num = given.sequence_num
    ) AS entry
    CROSS JOIN LATERAL (
        SELECT
            entry.host_id = given.host_id
            AND encode(sha256(convert_to(entry.payload::text, 'UTF8')), 'hex') IS NOT DISTINCT FROM given.payload_digest AS is_same
    ) AS compared;
END
$$;

-- Whichever client writes: an entry continues its chain, in a form that can be verified, or is refused. Whether a hash is right is
-- not looked at here. A time that lies ahead may be that of the entry before, which no time may be earlier than.
CREATE FUNCTION audit_entries_continue_chain() RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    v_refused RECORD;
BEGIN
    SELECT
        written.host_id,
        written.sequence_num,
        checked.problem,
        checked.rule
    INTO v_refused
    FROM written_entries AS written
    LEFT JOIN audit_entries AS previous
        ON previous.host_id = written.host_id
        AND previous.sequence_num = written.sequence_num - 1
    LEFT JOIN audit_prunings AS pruned
        ON pruned.host_id = written.host_id
        AND pruned.through_sequence = written.sequence_num - 1
    CROSS JOIN LATERAL (
        VALUES
            (
                written.prev_hash IS DISTINCT FROM coalesce(
                    previous.event_hash,
                    pruned.through_event_hash,
                    CASE WHEN written.sequence_num = 1 THEN repeat('0', 64) END
                )
                OR EXISTS (
                    SELECT
                    FROM audit_prunings AS later
                    WHERE later.host_id = written.host_id
                        AND later.through_sequence >= written.sequence_num
                ),
                'does not continue the chain',
                'its number must follow, and its prev_hash must be the event_hash of the entry before'
            ),
            (
                written.hash_version NOT IN (0, 1),
                'has a hash_version that does not exist',
                'hash_version must be 1, or 0 where nothing before it is protected'
            ),
            (
                written.hash_version = 0 AND (previous.hash_version > 0 OR pruned.pruning_id IS NOT NULL),
                'is not protected, after one that is',
                'hash_version must be 1 after an entry of version 1, and after a pruning'
            ),
            (
                written.hash_version = 0 AND written.row_hash IS NOT NULL,
                'has a row_hash in version 0',
                'row_hash must be NULL where hash_version is 0'
            ),
            (
                written.event_hash !~ '^[0-9a-f]{64}$' OR written.row_hash !~ '^[0-9a-f]{64}$',
                'has a hash that is none',
                'event_hash and row_hash must be 64 lower-case hexadecimal digits, or row_hash NULL'
            ),
            (
                NOT isfinite(written.created_at)
                OR written.created_at < TIMESTAMPTZ '0001-01-01 00:00:00+00'
                OR written.created_at > greatest(
                    clock_timestamp() + INTERVAL '31 days',
                    previous.created_at,
                    pruned.through_created_at
                ),
                'has a time that cannot be',
                'created_at must be finite, in the years of our era, and 31 days ahead of now at the most'
            )
    ) AS checked (is_refused, problem, rule)
    WHERE checked.is_refused
    LIMIT 1;

    IF FOUND THEN
        RAISE EXCEPTION 'audit_entries: entry % of host % %', v_refused.sequence_num, v_refused.host_id, v_refused.problem
            USING ERRCODE = 'check_violation',
                  SCHEMA = TG_TABLE_SCHEMA,
                  TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'audit_entries_continue_chain',
                  HINT = v_refused.rule;
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
        'recognise_audit_entries(UUID[], UUID[], BIGINT[], TEXT[])',
        'audit_entries_continue_chain()',
        'audit_refuse_delete()'
    ]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION lock_audit_chains(UUID[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION recognise_audit_entries(UUID[], UUID[], BIGINT[], TEXT[]) FROM PUBLIC;
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
