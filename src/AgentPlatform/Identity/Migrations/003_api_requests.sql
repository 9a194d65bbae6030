-- What was asked of the API, and the answers kept for repeated requests.

CREATE TABLE identity.api_request_logs (
    tenant_id   uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid NOT NULL,
    api_key_id  uuid,
    user_id     uuid NOT NULL,
    method      text NOT NULL,
    route       text NOT NULL,
    status      smallint NOT NULL,
    duration_ms integer NOT NULL,
    ip_address  inet,
    user_agent  varchar(512),
    trace_id    text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_request_status_is_http CHECK (status BETWEEN 100 AND 599),
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES identity.api_keys (tenant_id, id) ON DELETE SET NULL (api_key_id)
);

CREATE INDEX idx_api_request_logs_key ON identity.api_request_logs (tenant_id, api_key_id, id DESC);
CREATE INDEX idx_api_request_logs_created_at ON identity.api_request_logs USING brin (created_at);

ALTER TABLE identity.api_request_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.api_request_logs FORCE ROW LEVEL SECURITY;
-- A user's requests are that user's own; owners and admins of the tenant see all of them.
CREATE POLICY own_or_managed ON identity.api_request_logs FOR SELECT TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND (user_id = kernel.current_user_id() OR tenancy.may_manage()));
CREATE POLICY logs_insert ON identity.api_request_logs FOR INSERT TO agentplatform_app
    WITH CHECK (tenant_id = kernel.current_tenant_id() AND kernel.may_write());
GRANT SELECT, INSERT ON identity.api_request_logs TO agentplatform_app;

-- A log: never changed, and deleted only past its thirty days (a cascade from the tenant runs one trigger deeper).
CREATE TRIGGER refuse_update BEFORE UPDATE ON identity.api_request_logs
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_early_delete BEFORE DELETE ON identity.api_request_logs
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.created_at > now() - interval '30 days') EXECUTE FUNCTION kernel.refuse_change();

CREATE TABLE identity.idempotency_keys (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    api_key_id   uuid NOT NULL,
    key          varchar(255) NOT NULL,
    request_hash bytea NOT NULL,
    attempt      uuid NOT NULL,
    locked_until timestamptz NOT NULL,
    status_code  smallint,
    -- Sealed with a key only the caller's secret yields: an answer may hold a secret that is shown once.
    response     bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, api_key_id, key),
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES identity.api_keys (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT idempotent_answer_is_whole CHECK ((completed_at IS NULL) = (response IS NULL) AND (response IS NULL) = (status_code IS NULL))
);

CREATE INDEX idx_idempotency_keys_expires_at ON identity.idempotency_keys (expires_at);

SELECT kernel.protect('identity.idempotency_keys');

-- Retention may remove, in every tenant, what is past its time, and nothing younger.
CREATE POLICY retention ON identity.idempotency_keys TO agentplatform_worker USING (expires_at < now());
CREATE POLICY retention ON identity.api_request_logs TO agentplatform_worker USING (created_at < now() - interval '30 days');
GRANT SELECT, DELETE ON identity.idempotency_keys, identity.api_request_logs TO agentplatform_worker;
