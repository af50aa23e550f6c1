-- Tripwire rules: what to watch. A rule without a host is global.

CREATE TABLE tripwire_rules (
    rule_id    UUID           NOT NULL DEFAULT gen_random_uuid(),
    host_id    UUID,
    rule_type  tripwire_type  NOT NULL,
    target     TEXT           NOT NULL,
    severity   severity_level NOT NULL DEFAULT 'WARN',
    enabled    BOOLEAN        NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ    NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ    NOT NULL DEFAULT now(),
    CONSTRAINT tripwire_rules_pkey PRIMARY KEY (rule_id),
    CONSTRAINT fk_rules_host FOREIGN KEY (host_id) REFERENCES hosts (host_id)
);

CREATE INDEX idx_rules_host_id
    ON tripwire_rules (host_id);
