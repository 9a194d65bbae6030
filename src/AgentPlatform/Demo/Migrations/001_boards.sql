-- The job board that the demo tenant's agent searches and applies at. To the agent it is a foreign service: it is reached over
-- HTTP at an address that holds its token.

GRANT USAGE ON SCHEMA demo TO agentplatform_app;

CREATE TABLE demo.boards (
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    token      uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT boards_token_key UNIQUE (token),
    CONSTRAINT boards_one_per_tenant UNIQUE (tenant_id)
);

SELECT kernel.protect('demo.boards');
CREATE POLICY bearer ON demo.boards FOR SELECT TO agentplatform_app USING (token::text = kernel.current_bearer());

CREATE TABLE demo.applications (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid NOT NULL,
    idempotency_key text NOT NULL,
    job_id          text NOT NULL,
    applicant       text NOT NULL,
    email           text NOT NULL,
    resume          text,
    status          text NOT NULL DEFAULT 'submitted',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    cancelled_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT application_status CHECK (status IN ('submitted', 'cancelled')),
    CONSTRAINT application_cancelled CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT applications_idempotency_key UNIQUE (tenant_id, idempotency_key)
);

-- One running application a person and job; a cancelled one may be followed by another.
CREATE UNIQUE INDEX applications_once ON demo.applications (tenant_id, applicant, job_id) WHERE status = 'submitted';
CREATE INDEX applications_of_applicant ON demo.applications (tenant_id, applicant, id DESC);

SELECT kernel.protect('demo.applications');
