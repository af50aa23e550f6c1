-- The audit log: one chain of SHA-256 hashes per host.

CREATE TABLE audit_entries (
    entry_id     UUID        NOT NULL DEFAULT gen_random_uuid(),
    host_id      UUID        NOT NULL,
    sequence_num BIGINT      NOT NULL,
    event_hash   CHAR(64)    NOT NULL,
    prev_hash    CHAR(64)    NOT NULL DEFAULT repeat('0', 64),
    payload      JSONB       NOT NULL DEFAULT '{}',
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id),
    CONSTRAINT fk_audit_host FOREIGN KEY (host_id) REFERENCES hosts (host_id),
    CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num)
);
