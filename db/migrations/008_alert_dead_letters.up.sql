-- Alerts that the database refused, one by one, with the reason: nothing that was taken is dropped.

CREATE TABLE alert_dead_letters (
    dead_letter_id   UUID        NOT NULL DEFAULT gen_random_uuid(),
    -- The alert as it was received, as one line of JSON in UTF-8. Bytes, because what is broken may not be text.
    alert_json       BYTEA       NOT NULL,
    alert_sha256     BYTEA       NOT NULL GENERATED ALWAYS AS (sha256(alert_json)) STORED,
    -- As far as they could be read.
    alert_id         UUID,
    host_id          UUID,
    -- The code of the error, such as UNKNOWN_HOST, INVALID_INPUT or ALERT_CONFLICT.
    reason           TEXT        NOT NULL,
    message          TEXT        NOT NULL,
    sql_state        TEXT,
    column_name      TEXT,
    attempts         INTEGER     NOT NULL DEFAULT 1,
    first_attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_attempt_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT alert_dead_letters_pkey PRIMARY KEY (dead_letter_id),
    CONSTRAINT alert_dead_letters_attempted CHECK (attempts > 0)
);

-- The same alert refused again, for the same reason, is one more attempt and not one more row.
CREATE UNIQUE INDEX alert_dead_letters_one_per_alert
    ON alert_dead_letters (alert_sha256, reason);

CREATE INDEX alert_dead_letters_first_attempt_idx
    ON alert_dead_letters (first_attempt_at, dead_letter_id);
