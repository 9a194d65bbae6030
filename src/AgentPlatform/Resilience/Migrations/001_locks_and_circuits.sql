GRANT USAGE ON SCHEMA resilience TO agentplatform_app;

-- Rises with every holder of every lock, for ever: what a slow former holder still sends can be told from what its successor sent.
CREATE SEQUENCE resilience.fences AS bigint;
GRANT USAGE ON SEQUENCE resilience.fences TO agentplatform_app;

-- A lock is held while its row is there and has not expired. Each holder is a new row in the old one's place, with an id and a token of its own.
CREATE TABLE resilience.locks (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid        NOT NULL,
    resource_type text        NOT NULL CONSTRAINT lock_type_length CHECK (length(resource_type) BETWEEN 1 AND 100),
    resource_id   text        NOT NULL CONSTRAINT lock_resource_length CHECK (length(resource_id) BETWEEN 1 AND 500),
    token         uuid        NOT NULL,
    fence         bigint      NOT NULL,
    holder        text        NOT NULL,
    acquired_at   timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT lock_has_one_holder UNIQUE (tenant_id, resource_type, resource_id),
    CONSTRAINT lock_lasts CHECK (expires_at > acquired_at)
) WITH (fillfactor = 70);

-- What holders that died have left behind.
CREATE INDEX locks_expired ON resilience.locks (tenant_id, expires_at);
SELECT kernel.protect('resilience.locks');

-- How a service that the tenant calls has fared lately. A service that never failed has no row.
CREATE TABLE resilience.circuits (
    tenant_id       uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid        NOT NULL,
    service         text        NOT NULL CONSTRAINT circuit_service_length CHECK (length(service) BETWEEN 1 AND 500),
    state           text        NOT NULL CONSTRAINT circuit_state_known CHECK (state IN ('CLOSED', 'OPEN', 'HALF_OPEN')),
    failures        integer     NOT NULL CONSTRAINT circuit_failures_count CHECK (failures >= 0),
    last_failure_at timestamptz,
    last_error      text,
    times_opened    integer     NOT NULL DEFAULT 0,
    opened_at       timestamptz,
    open_until      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT circuit_of_service UNIQUE (tenant_id, service),
    CONSTRAINT circuit_opening_is_dated CHECK ((state = 'CLOSED') = (open_until IS NULL) AND (open_until IS NULL) = (opened_at IS NULL))
) WITH (fillfactor = 70);

-- What every call asks, in a round trip it makes anyway: which services are in trouble? Mostly none.
CREATE INDEX circuits_troubled ON resilience.circuits (tenant_id) WHERE state <> 'CLOSED' OR failures > 0;
SELECT kernel.protect('resilience.circuits');
