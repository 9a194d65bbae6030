-- What an application over the job board's longer way needs before it is sent: a place that is held, and a résumé that is stored.
CREATE TABLE demo.places (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid NOT NULL,
    idempotency_key text NOT NULL,
    job_id          text NOT NULL,
    applicant       text NOT NULL,
    status          text NOT NULL DEFAULT 'held' CONSTRAINT place_status CHECK (status IN ('held', 'released')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT places_idempotency_key UNIQUE (tenant_id, idempotency_key)
);

SELECT kernel.protect('demo.places');

CREATE TABLE demo.resumes (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid NOT NULL,
    idempotency_key text NOT NULL,
    applicant       text NOT NULL,
    url             text NOT NULL,
    status          text NOT NULL DEFAULT 'stored' CONSTRAINT resume_status CHECK (status IN ('stored', 'removed')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT resumes_idempotency_key UNIQUE (tenant_id, idempotency_key)
);

SELECT kernel.protect('demo.resumes');
