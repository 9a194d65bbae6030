-- People sign in: their passwords, their sessions with the tokens that carry them, the links that set a password, and every attempt.

-- Beside the account, not in it: colleagues see each other's accounts, and nobody sees another's hash.
CREATE TABLE identity.credentials (
    user_id             uuid PRIMARY KEY REFERENCES identity.users (id) ON DELETE CASCADE,
    password_hash       text NOT NULL,
    password_changed_at timestamptz NOT NULL,
    last_login_at       timestamptz,
    CONSTRAINT password_hash_is_bcrypt CHECK (password_hash ~ '^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$')
);

-- A session is in one tenant. Its access token is short-lived and changes with every refresh; only hashes of tokens are stored.
CREATE TABLE identity.sessions (
    tenant_id         uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid NOT NULL,
    user_id           uuid NOT NULL,
    access_hash       text NOT NULL,
    access_expires_at timestamptz NOT NULL,
    ip_address        inet,
    user_agent        varchar(512),
    created_at        timestamptz NOT NULL,
    last_used_at      timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    end_reason        text,
    PRIMARY KEY (tenant_id, id),
    -- Whoever leaves the tenant leaves no session behind.
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE,
    CONSTRAINT session_hash_is_sha256 CHECK (access_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT session_end_has_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT session_end_reason_is_known CHECK (end_reason IN ('signed_out', 'revoked', 'password_changed', 'password_reset', 'token_reused'))
);
CREATE UNIQUE INDEX idx_sessions_access_hash ON identity.sessions (access_hash);
CREATE INDEX idx_sessions_user ON identity.sessions (user_id, id DESC);
CREATE INDEX idx_sessions_expires_at ON identity.sessions (expires_at);

-- Those of a session in their order; the one that is not used is current. The used ones are kept to know one that comes back.
CREATE TABLE identity.refresh_tokens (
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    session_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    token_hash text NOT NULL,
    issued_at  timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (tenant_id, session_id, token_hash),
    FOREIGN KEY (tenant_id, session_id) REFERENCES identity.sessions (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT refresh_hash_is_sha256 CHECK (token_hash ~ '^[0-9a-f]{64}$')
);
CREATE UNIQUE INDEX idx_refresh_tokens_hash ON identity.refresh_tokens (token_hash);
CREATE UNIQUE INDEX uq_refresh_tokens_current ON identity.refresh_tokens (tenant_id, session_id) WHERE used_at IS NULL;

CREATE TABLE identity.password_reset_tokens (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL REFERENCES identity.users (id) ON DELETE CASCADE,
    token_hash     text NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    -- Another one was used, or the password was changed otherwise.
    invalidated_at timestamptz,
    CONSTRAINT reset_hash_is_sha256 CHECK (token_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT reset_token_ends_once CHECK (used_at IS NULL OR invalidated_at IS NULL)
);
CREATE UNIQUE INDEX password_reset_token_idx ON identity.password_reset_tokens (token_hash);
CREATE INDEX password_reset_user_id_idx ON identity.password_reset_tokens (user_id, created_at);
CREATE INDEX password_reset_expires_at_idx ON identity.password_reset_tokens (expires_at);

-- The tenant is known once somebody signs in to it; the user, when the address has an account.
CREATE TABLE identity.login_attempts (
    id             uuid PRIMARY KEY,
    tenant_id      uuid REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    user_id        uuid REFERENCES identity.users (id) ON DELETE SET NULL,
    email          varchar(320) NOT NULL,
    ip_address     varchar(45) NOT NULL,
    user_agent     varchar(512),
    success        boolean NOT NULL DEFAULT false,
    failure_reason varchar(100),
    attempted_at   timestamptz NOT NULL,
    CONSTRAINT login_failure_has_a_reason CHECK (success = (failure_reason IS NULL)),
    CONSTRAINT login_failure_reason_is_known CHECK (failure_reason IN (
        'interrupted', 'unknown_account', 'no_password', 'wrong_password', 'closed_account', 'no_tenant', 'choose_tenant', 'locked_out'))
);
CREATE INDEX login_attempts_email_attempted_at_idx ON identity.login_attempts (email, attempted_at);
CREATE INDEX login_attempts_ip_idx ON identity.login_attempts (ip_address, attempted_at);
CREATE INDEX login_attempts_user_idx ON identity.login_attempts (user_id, id DESC) WHERE user_id IS NOT NULL;
CREATE INDEX login_attempts_tenant_idx ON identity.login_attempts (tenant_id, id DESC) WHERE tenant_id IS NOT NULL;
CREATE INDEX login_attempts_attempted_at_idx ON identity.login_attempts USING brin (attempted_at);

-- A log: how an attempt ended is written once, and it is deleted only past its ninety days.
CREATE TRIGGER refuse_update BEFORE UPDATE ON identity.login_attempts
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.failure_reason IS DISTINCT FROM 'interrupted') EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_early_delete BEFORE DELETE ON identity.login_attempts
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND OLD.attempted_at > now() - interval '90 days') EXECUTE FUNCTION kernel.refuse_change();

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['credentials', 'sessions', 'refresh_tokens', 'password_reset_tokens', 'login_attempts'] LOOP
        EXECUTE format('ALTER TABLE identity.%I ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE identity.%I FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON identity.%I TO agentplatform_app', target);
    END LOOP;
END
$$;

-- One's own, whichever tenant one acts in: a person who ends a session, or sets a password, means all of it.
CREATE POLICY own ON identity.credentials TO agentplatform_app
    USING (user_id = kernel.current_user_id()) WITH CHECK (user_id = kernel.current_user_id());
CREATE POLICY own_read ON identity.sessions FOR SELECT TO agentplatform_app USING (user_id = kernel.current_user_id());
CREATE POLICY own_update ON identity.sessions FOR UPDATE TO agentplatform_app USING (user_id = kernel.current_user_id());
CREATE POLICY own_insert ON identity.sessions FOR INSERT TO agentplatform_app
    WITH CHECK (tenant_id = kernel.current_tenant_id() AND user_id = kernel.current_user_id());
CREATE POLICY own ON identity.refresh_tokens TO agentplatform_app
    USING (user_id = kernel.current_user_id()) WITH CHECK (tenant_id = kernel.current_tenant_id() AND user_id = kernel.current_user_id());
CREATE POLICY own ON identity.password_reset_tokens TO agentplatform_app
    USING (user_id = kernel.current_user_id()) WITH CHECK (user_id = kernel.current_user_id());

-- Whoever presents a token, by its hash.
CREATE POLICY bearer ON identity.sessions FOR SELECT TO agentplatform_app USING (access_hash = kernel.current_bearer());
CREATE POLICY bearer ON identity.refresh_tokens FOR SELECT TO agentplatform_app USING (token_hash = kernel.current_bearer());
CREATE POLICY bearer ON identity.password_reset_tokens FOR SELECT TO agentplatform_app USING (token_hash = kernel.current_bearer());

-- Attempts are written before anybody is known, by the address that is tried; counted by that, and by where they come from.
CREATE POLICY bearer_read ON identity.login_attempts FOR SELECT TO agentplatform_app
    USING (email = kernel.current_bearer() OR ip_address = kernel.current_bearer());
CREATE POLICY bearer_insert ON identity.login_attempts FOR INSERT TO agentplatform_app WITH CHECK (email = kernel.current_bearer());
CREATE POLICY bearer_update ON identity.login_attempts FOR UPDATE TO agentplatform_app USING (email = kernel.current_bearer());
-- Read by owners and admins: those to their tenant, and those of members that got to none. Which other tenant a member signed in to is not told.
CREATE POLICY managers_read ON identity.login_attempts FOR SELECT TO agentplatform_app
    USING (tenancy.may_manage() AND (tenant_id = kernel.current_tenant_id()
           OR tenant_id IS NULL AND user_id IS NOT NULL AND tenancy.member_role(user_id) IS NOT NULL));

-- Retention may remove, in every tenant, what is past its time, and nothing younger.
CREATE POLICY retention ON identity.sessions TO agentplatform_worker USING (expires_at < now());
CREATE POLICY retention ON identity.password_reset_tokens TO agentplatform_worker USING (expires_at < now() - interval '1 day');
CREATE POLICY retention ON identity.login_attempts TO agentplatform_worker USING (attempted_at < now() - interval '90 days');
GRANT SELECT, DELETE ON identity.sessions, identity.password_reset_tokens, identity.login_attempts TO agentplatform_worker;

-- Answers are remembered for sessions as for keys: api_key_id is the id of either.
ALTER TABLE identity.idempotency_keys DROP CONSTRAINT idempotency_keys_tenant_id_api_key_id_fkey;

-- The counter is not worth waiting for the disk.
CREATE FUNCTION identity.count_request(by_tenant uuid, by_user uuid, at_endpoint text, at_time timestamptz, window_length interval) RETURNS identity.rate_counters
    LANGUAGE plpgsql AS $$
DECLARE
    counter identity.rate_counters;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO identity.rate_counters AS c (tenant_id, user_id, endpoint, window_start, expires_at)
    VALUES (by_tenant, by_user, at_endpoint, at_time, at_time + window_length)
    ON CONFLICT ON CONSTRAINT rate_counters_pkey DO UPDATE SET
        requests = CASE WHEN c.expires_at <= excluded.window_start THEN 1 ELSE c.requests + 1 END,
        window_start = CASE WHEN c.expires_at <= excluded.window_start THEN excluded.window_start ELSE c.window_start END,
        expires_at = CASE WHEN c.expires_at <= excluded.window_start THEN excluded.expires_at ELSE c.expires_at END
    RETURNING * INTO counter;
    RETURN counter;
END
$$;

-- As in 002, and a key of a member who is suspended has no role.
CREATE OR REPLACE FUNCTION identity.authenticate(hash text, at_endpoint text, at_time timestamptz, window_length interval)
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

    PERFORM set_config('app.tenant_id', found_key.tenant_id::text, true), set_config('app.user_id', found_key.user_id::text, true);
    counter := identity.count_request(found_key.tenant_id, found_key.user_id, at_endpoint, at_time, window_length);
    RETURN QUERY
    SELECT found_key.id, found_key.tenant_id, found_key.user_id, found_key.role, tenancy.active_role(found_key.user_id), found_key.scopes,
           found_key.expires_at, found_key.revoked_at, u.is_active, counter.requests, counter.expires_at
    FROM identity.users u WHERE u.id = found_key.user_id;
END
$$;

-- The same for a session, from its access token. When it was used is noted to the minute.
CREATE FUNCTION identity.authenticate_session(hash text, at_endpoint text, at_time timestamptz, window_length interval)
    RETURNS TABLE (session_id uuid, tenant_id uuid, user_id uuid, member_role text, access_expires_at timestamptz, expires_at timestamptz,
                   ended_at timestamptz, is_active boolean, requests integer, window_ends timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    found_session identity.sessions;
    counter identity.rate_counters;
BEGIN
    SELECT * INTO found_session FROM identity.sessions s WHERE s.access_hash = hash;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    PERFORM set_config('app.tenant_id', found_session.tenant_id::text, true), set_config('app.user_id', found_session.user_id::text, true);
    counter := identity.count_request(found_session.tenant_id, found_session.user_id, at_endpoint, at_time, window_length);
    UPDATE identity.sessions s SET last_used_at = at_time
    WHERE s.tenant_id = found_session.tenant_id AND s.id = found_session.id AND s.last_used_at < at_time - interval '1 minute';
    RETURN QUERY
    SELECT found_session.id, found_session.tenant_id, found_session.user_id, tenancy.active_role(found_session.user_id), found_session.access_expires_at,
           found_session.expires_at, found_session.ended_at, u.is_active, counter.requests, counter.expires_at
    FROM identity.users u WHERE u.id = found_session.user_id;
END
$$;

-- One attempt to sign in: counts the failures before it, notes it, and finds what it has to be measured against. Attempts on one address wait for each
-- other here, so that many at once are counted like many in turn. What is not yet decided counts as a failure.
CREATE FUNCTION identity.begin_login(
    attempt uuid, address text, ip text, agent text, at_time timestamptz, since timestamptz, most_of_address integer, most_of_ip integer)
    RETURNS TABLE (user_id uuid, password_hash text, is_active boolean, blocked_since timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    counted constant text[] := '{interrupted,unknown_account,no_password,wrong_password}';
    account identity.users;
    hash text;
    of_ip timestamptz;
    of_address timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('login/address/' || address, 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('login/ip/' || ip, 0));
    PERFORM set_config('app.bearer', ip, true);
    SELECT min(a.attempted_at) INTO of_ip FROM identity.login_attempts a
    WHERE a.ip_address = ip AND a.attempted_at > since AND a.failure_reason = ANY (counted) HAVING count(*) >= most_of_ip;

    -- Those before a success were its user's own.
    PERFORM set_config('app.bearer', address, true);
    SELECT min(a.attempted_at) INTO of_address FROM identity.login_attempts a
    WHERE a.email = address AND a.failure_reason = ANY (counted)
      AND a.attempted_at > greatest(since, (SELECT max(s.attempted_at) FROM identity.login_attempts s WHERE s.email = address AND s.success))
    HAVING count(*) >= most_of_address;

    SELECT * INTO account FROM identity.users u WHERE u.email = address;
    PERFORM set_config('app.user_id', coalesce(account.id::text, ''), true);
    SELECT c.password_hash INTO hash FROM identity.credentials c WHERE c.user_id = account.id;
    PERFORM set_config('app.user_id', '', true);
    INSERT INTO identity.login_attempts (id, user_id, email, ip_address, user_agent, failure_reason, attempted_at)
    VALUES (attempt, account.id, address, ip, agent, CASE WHEN coalesce(of_ip, of_address) IS NULL THEN 'interrupted' ELSE 'locked_out' END, at_time);
    RETURN QUERY SELECT account.id, hash, coalesce(account.is_active, false), greatest(of_ip, of_address);
END
$$;

-- Where an account may sign in; for who has just proved to be its user, and to know whom an attack on it concerns.
CREATE FUNCTION identity.login_choices(account uuid) RETURNS TABLE (tenant_id uuid, name text, slug text, role text)
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', coalesce(account::text, ''), true);
    RETURN QUERY SELECT m.tenant_id, m.name, m.slug, m.role FROM tenancy.memberships() AS m;
    PERFORM set_config('app.user_id', '', true);
END
$$;

-- Rotates a refresh token. One that comes back after its use is in two hands, of which one is a thief's: the session ends.
CREATE FUNCTION identity.refresh_session(presented text, new_access text, new_refresh text, at_time timestamptz, access_until timestamptz)
    RETURNS TABLE (outcome text, tenant_id uuid, session_id uuid, user_id uuid, role text, access_expires_at timestamptz, expires_at timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    token identity.refresh_tokens;
    session identity.sessions;
    member text;
BEGIN
    SELECT * INTO token FROM identity.refresh_tokens t WHERE t.token_hash = presented;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    PERFORM set_config('app.tenant_id', token.tenant_id::text, true), set_config('app.user_id', token.user_id::text, true);
    SELECT * INTO session FROM identity.sessions s WHERE s.tenant_id = token.tenant_id AND s.id = token.session_id FOR UPDATE;
    UPDATE identity.refresh_tokens t SET used_at = at_time
    WHERE t.tenant_id = token.tenant_id AND t.session_id = token.session_id AND t.token_hash = presented AND t.used_at IS NULL;
    IF NOT FOUND THEN
        UPDATE identity.sessions s SET ended_at = at_time, end_reason = 'token_reused'
        WHERE s.tenant_id = token.tenant_id AND s.id = token.session_id AND s.ended_at IS NULL;
        RETURN QUERY SELECT 'reused', session.tenant_id, session.id, session.user_id, NULL::text, session.access_expires_at, session.expires_at;
        RETURN;
    END IF;

    SELECT tenancy.active_role(u.id) INTO member FROM identity.users u WHERE u.id = session.user_id AND u.is_active;
    IF session.ended_at IS NOT NULL OR session.expires_at <= at_time OR member IS NULL THEN
        RETURN QUERY SELECT 'over', session.tenant_id, session.id, session.user_id, member, session.access_expires_at, session.expires_at;
        RETURN;
    END IF;

    INSERT INTO identity.refresh_tokens (tenant_id, session_id, user_id, token_hash, issued_at)
    VALUES (token.tenant_id, token.session_id, token.user_id, new_refresh, at_time);
    RETURN QUERY
    UPDATE identity.sessions s SET access_hash = new_access, access_expires_at = least(access_until, s.expires_at), last_used_at = at_time
    WHERE s.tenant_id = token.tenant_id AND s.id = token.session_id
    RETURNING 'refreshed', s.tenant_id, s.id, s.user_id, member, s.access_expires_at, s.expires_at;
END
$$;

-- A link that sets a password, for an account; false when it has had enough of them in the last hour, or a first one when it has a password.
CREATE FUNCTION identity.issue_reset_token(
    new_id uuid, account uuid, hash text, at_time timestamptz, until timestamptz, most_an_hour integer, only_first boolean) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    acting constant text := current_setting('app.user_id', true);
    issued boolean;
BEGIN
    PERFORM set_config('app.user_id', account::text, true);
    INSERT INTO identity.password_reset_tokens (id, user_id, token_hash, created_at, expires_at)
    SELECT new_id, account, hash, at_time, until
    WHERE most_an_hour > (SELECT count(*) FROM identity.password_reset_tokens t WHERE t.user_id = account AND t.created_at > at_time - interval '1 hour')
      AND NOT (only_first AND EXISTS (SELECT FROM identity.credentials c WHERE c.user_id = account));
    issued := FOUND;
    PERFORM set_config('app.user_id', acting, true);
    RETURN issued;
END
$$;

-- Uses a link: once, in time, and of an account that is open. Everything else that could still set this password, or was opened with the old one, ends.
CREATE FUNCTION identity.reset_password(presented text, new_hash text, at_time timestamptz) RETURNS uuid
    LANGUAGE plpgsql AS $$
DECLARE
    account uuid;
BEGIN
    SELECT t.user_id INTO account FROM identity.password_reset_tokens t WHERE t.token_hash = presented;
    PERFORM set_config('app.user_id', coalesce(account::text, ''), true);
    UPDATE identity.password_reset_tokens t SET used_at = at_time
    WHERE t.token_hash = presented AND t.used_at IS NULL AND t.invalidated_at IS NULL AND t.expires_at > at_time
      AND EXISTS (SELECT FROM identity.users u WHERE u.id = t.user_id AND u.is_active);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    UPDATE identity.password_reset_tokens t SET invalidated_at = at_time WHERE t.user_id = account AND t.used_at IS NULL AND t.invalidated_at IS NULL;
    INSERT INTO identity.credentials AS c (user_id, password_hash, password_changed_at) VALUES (account, new_hash, at_time)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, password_changed_at = excluded.password_changed_at;
    UPDATE identity.sessions s SET ended_at = at_time, end_reason = 'password_reset' WHERE s.user_id = account AND s.ended_at IS NULL;
    RETURN account;
END
$$;
