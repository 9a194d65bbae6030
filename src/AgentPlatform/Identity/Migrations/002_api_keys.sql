-- The secret itself is never stored: only its SHA-256, and enough of its beginning to recognise it in a list.

CREATE TABLE identity.api_keys (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id           uuid NOT NULL,
    user_id      uuid NOT NULL,
    name         text NOT NULL,
    prefix       text NOT NULL,
    secret_hash  text NOT NULL,
    role         text NOT NULL,
    scopes       text[] NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    -- Whoever leaves the tenant leaves no working key behind.
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE,
    CONSTRAINT api_key_name_is_given CHECK (length(btrim(name)) BETWEEN 1 AND 100),
    CONSTRAINT api_key_hash_is_sha256 CHECK (secret_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT api_key_role_is_known CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
);

CREATE UNIQUE INDEX idx_api_keys_secret_hash ON identity.api_keys (secret_hash);
CREATE INDEX idx_api_keys_user ON identity.api_keys (tenant_id, user_id);

ALTER TABLE identity.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.api_keys FORCE ROW LEVEL SECURITY;

-- A key is its user's own; owners and admins of the tenant see and revoke all of them.
CREATE POLICY own_or_managed ON identity.api_keys FOR SELECT TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND (user_id = kernel.current_user_id() OR tenancy.may_manage()));
CREATE POLICY bearer ON identity.api_keys FOR SELECT TO agentplatform_app USING (secret_hash = kernel.current_bearer());
CREATE POLICY keys_insert ON identity.api_keys FOR INSERT TO agentplatform_app
    WITH CHECK (tenant_id = kernel.current_tenant_id() AND kernel.may_write() AND (user_id = kernel.current_user_id() OR tenancy.may_manage()));
CREATE POLICY keys_update ON identity.api_keys FOR UPDATE TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND kernel.may_write() AND (user_id = kernel.current_user_id() OR tenancy.may_manage()));

GRANT SELECT, INSERT, UPDATE ON identity.api_keys TO agentplatform_app;

CREATE TRIGGER set_updated_at BEFORE UPDATE ON identity.api_keys FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column();

-- Requests per user and endpoint in the running window. Losing it in a crash opens a new window, so it is not logged.
CREATE UNLOGGED TABLE identity.rate_counters (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    user_id      uuid NOT NULL,
    endpoint     text NOT NULL,
    window_start timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    requests     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, user_id, endpoint)
) WITH (fillfactor = 70);

ALTER TABLE identity.rate_counters ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.rate_counters FORCE ROW LEVEL SECURITY;
CREATE POLICY own_counters ON identity.rate_counters TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND user_id = kernel.current_user_id())
    WITH CHECK (tenant_id = kernel.current_tenant_id() AND user_id = kernel.current_user_id());
-- Retention may remove what has expired, in every tenant, and nothing else.
CREATE POLICY retention ON identity.rate_counters TO agentplatform_worker USING (expires_at < now());
GRANT SELECT, INSERT, UPDATE, DELETE ON identity.rate_counters TO agentplatform_app;
GRANT SELECT, DELETE ON identity.rate_counters TO agentplatform_worker;

-- One round trip from a presented key to an actor: finds the key by its hash, becomes its tenant and user for the rest of the
-- transaction, and counts the request. Whether the key still serves is decided by the caller, from the row.
CREATE FUNCTION identity.authenticate(hash text, at_endpoint text, at_time timestamptz, window_length interval)
    RETURNS TABLE (key_id uuid, tenant_id uuid, user_id uuid, key_role text, member_role text, scopes text[], expires_at timestamptz,
                   revoked_at timestamptz, is_active boolean, requests integer, window_ends timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    found_key identity.api_keys;
    counter identity.rate_counters;
BEGIN
    SELECT * INTO found_key FROM identity.api_keys k WHERE k.secret_hash = hash;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- The counter is not worth waiting for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM set_config('app.tenant_id', found_key.tenant_id::text, true), set_config('app.user_id', found_key.user_id::text, true);
    INSERT INTO identity.rate_counters AS c (tenant_id, user_id, endpoint, window_start, expires_at)
    VALUES (found_key.tenant_id, found_key.user_id, at_endpoint, at_time, at_time + window_length)
    ON CONFLICT ON CONSTRAINT rate_counters_pkey DO UPDATE SET
        requests = CASE WHEN c.expires_at <= excluded.window_start THEN 1 ELSE c.requests + 1 END,
        window_start = CASE WHEN c.expires_at <= excluded.window_start THEN excluded.window_start ELSE c.window_start END,
        expires_at = CASE WHEN c.expires_at <= excluded.window_start THEN excluded.expires_at ELSE c.expires_at END
    RETURNING * INTO counter;

    RETURN QUERY
    SELECT found_key.id, found_key.tenant_id, found_key.user_id, found_key.role, tenancy.member_role(found_key.user_id), found_key.scopes,
           found_key.expires_at, found_key.revoked_at, u.is_active, counter.requests, counter.expires_at
    FROM identity.users u WHERE u.id = found_key.user_id;
END
$$;
