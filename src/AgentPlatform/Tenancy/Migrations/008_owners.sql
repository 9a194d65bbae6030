-- Whoever reads here reads as the acting user, and so under row level security.

-- Published: one change of a tenant's owners at a time.
CREATE FUNCTION tenancy.lock_owners(of_tenant uuid) RETURNS void
    LANGUAGE sql
    RETURN pg_advisory_xact_lock(hashtextextended('tenancy/owners/' || of_tenant, 0));

-- As in 007, for every role: a lock of the tenant's row is refused to who may not change it, and what could not be locked looked deleted. An owner whose
-- account is closed does not count, either.
CREATE OR REPLACE FUNCTION tenancy.keep_one_owner() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tenancy.lock_owners(OLD.tenant_id);
    IF EXISTS (SELECT FROM tenancy.tenants t WHERE t.id = OLD.tenant_id)
       AND NOT EXISTS (SELECT FROM tenancy.workspace_members m
                       WHERE m.tenant_id = OLD.tenant_id AND m.role = 'owner' AND m.suspended_at IS NULL AND m.id <> OLD.id AND identity.is_open(m.user_id)) THEN
        RAISE EXCEPTION 'a tenant keeps at least one owner' USING ERRCODE = 'check_violation', CONSTRAINT = 'last_owner_stays';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;

-- Published: who owns the acting tenant, and is not suspended.
CREATE FUNCTION tenancy.active_owners() RETURNS SETOF uuid
    LANGUAGE sql STABLE AS $$
    SELECT m.user_id FROM tenancy.workspace_members m WHERE m.tenant_id = kernel.current_tenant_id() AND m.role = 'owner' AND m.suspended_at IS NULL
$$;

-- Published: who works in the acting tenant, and since when.
CREATE FUNCTION tenancy.members_since() RETURNS TABLE (user_id uuid, joined_at timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT m.user_id, m.joined_at FROM tenancy.workspace_members m WHERE m.tenant_id = kernel.current_tenant_id()
$$;

-- Published: since when a user works in the acting tenant; null when the user is no member.
CREATE FUNCTION tenancy.joined_at(member uuid) RETURNS timestamptz
    LANGUAGE sql STABLE
    RETURN (SELECT m.joined_at FROM tenancy.workspace_members m WHERE m.tenant_id = kernel.current_tenant_id() AND m.user_id = member);

-- Published: where the acting user is suspended.
CREATE FUNCTION tenancy.suspensions() RETURNS TABLE (tenant_id uuid, name text, slug text, role text)
    LANGUAGE sql STABLE AS $$
    SELECT t.id, t.name, t.slug, m.role
    FROM tenancy.workspace_members m JOIN tenancy.tenants t ON t.id = m.tenant_id
    WHERE m.user_id = kernel.current_user_id() AND m.suspended_at IS NOT NULL
    ORDER BY m.joined_at, m.id
$$;
