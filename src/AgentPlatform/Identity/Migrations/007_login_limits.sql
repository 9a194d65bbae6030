-- Published: whether the account is in use. Closed ones do not count where somebody has to be left.
CREATE FUNCTION identity.is_open(account uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM identity.users u WHERE u.id = account AND u.is_active);

-- Whether a tenant would have no owner left without the acting user. Changes of the owners wait until the caller's transaction is over.
CREATE FUNCTION identity.is_last_owner() RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    acting constant text := current_setting('app.tenant_id', true);
    owned uuid;
    is_last boolean := false;
BEGIN
    FOR owned IN SELECT m.tenant_id FROM tenancy.memberships() AS m WHERE m.role = 'owner' ORDER BY m.tenant_id LOOP
        PERFORM tenancy.lock_owners(owned), set_config('app.tenant_id', owned::text, true);
        is_last := is_last OR NOT EXISTS (SELECT FROM tenancy.active_owners() AS o (user_id) WHERE o.user_id <> kernel.current_user_id() AND identity.is_open(o.user_id));
    END LOOP;

    PERFORM set_config('app.tenant_id', acting, true);
    RETURN is_last;
END
$$;

-- Whoever has an IPv6 address has all that begin with its first 64 bits, and changes between them at will: failures are counted by those.
CREATE FUNCTION identity.network_of(ip text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN strpos(ip, ':') > 0 THEN host(network(set_masklen(ip::inet, 64))) ELSE ip END;

ALTER TABLE identity.login_attempts ADD COLUMN ip_network text GENERATED ALWAYS AS (identity.network_of(ip_address::text)) STORED;
CREATE INDEX login_attempts_network_idx ON identity.login_attempts (ip_network, attempted_at);
ALTER POLICY bearer_read ON identity.login_attempts USING (email = kernel.current_bearer() OR ip_network = kernel.current_bearer());
-- Counting was all it served.
DROP INDEX identity.login_attempts_ip_idx;

-- Read by owners and admins: those that meant their tenant, and of those that meant none the members' own since they joined. That a member chose between
-- tenants, or was refused by another, is not told.
ALTER POLICY managers_read ON identity.login_attempts
    USING (tenancy.may_manage() AND (tenant_id = kernel.current_tenant_id()
           OR tenant_id IS NULL AND user_id IS NOT NULL AND failure_reason NOT IN ('choose_tenant', 'no_tenant') AND attempted_at >= tenancy.joined_at(user_id)));

-- Whose attempts concern the acting tenant, and since when.
CREATE FUNCTION identity.login_members() RETURNS TABLE (user_id uuid, joined_at timestamptz)
    LANGUAGE sql STABLE AS $$ SELECT m.user_id, m.joined_at FROM tenancy.members_since() AS m $$;

-- As in 005. Of an address those failures count that came after its last success within the window, and after its password was last set: whoever has set it
-- by a mailed link is let in at once.
CREATE OR REPLACE FUNCTION identity.begin_login(
    attempt uuid, address text, ip text, agent text, at_time timestamptz, since timestamptz, most_of_address integer, most_of_ip integer)
    RETURNS TABLE (user_id uuid, password_hash text, is_active boolean, blocked_since timestamptz)
    LANGUAGE plpgsql AS $$
DECLARE
    counted constant text[] := '{interrupted,unknown_account,no_password,wrong_password}';
    from_network constant text := identity.network_of(ip);
    account identity.users;
    credential identity.credentials;
    last_success timestamptz;
    of_ip timestamptz;
    of_address timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('login/address/' || address, 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('login/ip/' || from_network, 0));
    PERFORM set_config('app.bearer', from_network, true);
    SELECT min(a.attempted_at) INTO of_ip FROM identity.login_attempts a
    WHERE a.ip_network = from_network AND a.attempted_at > since AND a.failure_reason = ANY (counted) HAVING count(*) >= most_of_ip;

    PERFORM set_config('app.bearer', address, true);
    SELECT * INTO account FROM identity.users u WHERE u.email = address;
    PERFORM set_config('app.user_id', coalesce(account.id::text, ''), true);
    SELECT * INTO credential FROM identity.credentials c WHERE c.user_id = account.id;
    PERFORM set_config('app.user_id', '', true);

    SELECT max(s.attempted_at) INTO last_success FROM identity.login_attempts s WHERE s.email = address AND s.attempted_at > since AND s.success;
    SELECT min(a.attempted_at) INTO of_address FROM identity.login_attempts a
    WHERE a.email = address AND a.failure_reason = ANY (counted) AND a.attempted_at > greatest(since, last_success, credential.password_changed_at)
    HAVING count(*) >= most_of_address;

    INSERT INTO identity.login_attempts (id, user_id, email, ip_address, user_agent, failure_reason, attempted_at)
    VALUES (attempt, account.id, address, ip, agent, CASE WHEN coalesce(of_ip, of_address) IS NULL THEN 'interrupted' ELSE 'locked_out' END, at_time);
    RETURN QUERY SELECT account.id, credential.password_hash, coalesce(account.is_active, false), greatest(of_ip, of_address);
END
$$;

-- Where an account is suspended: whom an attempt that got nowhere concerns.
CREATE FUNCTION identity.login_suspensions(account uuid) RETURNS TABLE (tenant_id uuid, name text, slug text, role text)
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', coalesce(account::text, ''), true);
    RETURN QUERY SELECT m.tenant_id, m.name, m.slug, m.role FROM tenancy.suspensions() AS m;
    PERFORM set_config('app.user_id', '', true);
END
$$;

-- As in 005. A session that does not go on now uses up no token: when the suspension of its user is lifted, it goes on with the one it has.
CREATE OR REPLACE FUNCTION identity.refresh_session(presented text, new_access text, new_refresh text, at_time timestamptz, access_until timestamptz)
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
    SELECT tenancy.active_role(u.id) INTO member FROM identity.users u WHERE u.id = session.user_id AND u.is_active;
    IF session.ended_at IS NOT NULL OR session.expires_at <= at_time OR member IS NULL THEN
        RETURN QUERY SELECT 'over', session.tenant_id, session.id, session.user_id, member, session.access_expires_at, session.expires_at;
        RETURN;
    END IF;

    UPDATE identity.refresh_tokens t SET used_at = at_time
    WHERE t.tenant_id = token.tenant_id AND t.session_id = token.session_id AND t.token_hash = presented AND t.used_at IS NULL;
    IF NOT FOUND THEN
        UPDATE identity.sessions s SET ended_at = at_time, end_reason = 'token_reused' WHERE s.tenant_id = token.tenant_id AND s.id = token.session_id;
        RETURN QUERY SELECT 'reused', session.tenant_id, session.id, session.user_id, NULL::text, session.access_expires_at, session.expires_at;
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

-- A link whose mail did not leave is nobody's, and none of those an account may have in an hour.
GRANT DELETE ON identity.password_reset_tokens TO agentplatform_app;

CREATE FUNCTION identity.take_back_reset_token(account uuid, hash text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    acting constant text := current_setting('app.user_id', true);
BEGIN
    PERFORM set_config('app.user_id', account::text, true);
    DELETE FROM identity.password_reset_tokens t WHERE t.user_id = account AND t.token_hash = hash AND t.used_at IS NULL;
    PERFORM set_config('app.user_id', acting, true);
END
$$;
