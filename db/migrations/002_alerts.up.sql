-- Alerts, partitioned by the month (UTC) in which the server received them.
-- Migrations 001 to 004 give the schema that the Go version has, so that a database is the same at version 4
-- whoever made it. What is ours begins with 005.

CREATE TYPE tripwire_type AS ENUM ('FILE', 'NETWORK', 'PROCESS');
CREATE TYPE severity_level AS ENUM ('INFO', 'WARN', 'CRITICAL');

CREATE TABLE alerts (
    alert_id      UUID           NOT NULL DEFAULT gen_random_uuid(),
    host_id       UUID           NOT NULL,
    timestamp     TIMESTAMPTZ    NOT NULL,
    tripwire_type tripwire_type  NOT NULL,
    rule_name     TEXT           NOT NULL,
    event_detail  JSONB,
    severity      severity_level NOT NULL,
    received_at   TIMESTAMPTZ    NOT NULL DEFAULT now(),
    CONSTRAINT alerts_pkey PRIMARY KEY (alert_id, received_at),
    CONSTRAINT alerts_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (host_id)
) PARTITION BY RANGE (received_at);

-- An example month. The bounds carry their offset, so that they do not depend on the session's time zone.
CREATE TABLE alerts_y2026m02 PARTITION OF alerts
    FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00');
