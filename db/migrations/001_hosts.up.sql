-- Hosts: the registered agents and the machines they watch.

CREATE TYPE host_status AS ENUM ('ONLINE', 'OFFLINE', 'DEGRADED');

CREATE TABLE hosts (
    host_id       UUID        NOT NULL DEFAULT gen_random_uuid(),
    hostname      TEXT        NOT NULL,
    ip_address    INET,
    platform      TEXT,
    agent_version TEXT,
    last_seen     TIMESTAMPTZ,
    status        host_status NOT NULL DEFAULT 'OFFLINE',
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT hosts_pkey PRIMARY KEY (host_id),
    CONSTRAINT hosts_hostname_unique UNIQUE (hostname)
);
