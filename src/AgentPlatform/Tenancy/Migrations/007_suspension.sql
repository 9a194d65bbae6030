-- A member whom an owner or admin has suspended keeps the membership, and nothing of theirs serves in this tenant until it is lifted. It is the
-- membership that is suspended, not the account: whoever manages one tenant has no say in another.
ALTER TABLE tenancy.workspace_members
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspension_reason text,
    ADD CONSTRAINT suspension_has_a_reason CHECK ((suspended_at IS NULL) = (suspension_reason IS NULL)),
    ADD CONSTRAINT suspension_reason_is_told CHECK (length(btrim(suspension_reason)) BETWEEN 1 AND 500);

-- Published: the role in which a user may act in the acting tenant now; null when the user is no member, or suspended.
CREATE FUNCTION tenancy.active_role(member uuid) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT m.role FROM tenancy.workspace_members m
            WHERE m.tenant_id = kernel.current_tenant_id() AND m.user_id = member AND m.suspended_at IS NULL);

-- Published: where the acting user may sign in, the oldest membership first.
CREATE FUNCTION tenancy.memberships() RETURNS TABLE (tenant_id uuid, name text, slug text, role text)
    LANGUAGE sql STABLE AS $$
    SELECT t.id, t.name, t.slug, m.role
    FROM tenancy.workspace_members m JOIN tenancy.tenants t ON t.id = m.tenant_id
    WHERE m.user_id = kernel.current_user_id() AND m.suspended_at IS NULL
    ORDER BY m.joined_at, m.id
$$;

-- An owner who is suspended does not count: somebody must be left who can lift it.
CREATE OR REPLACE FUNCTION tenancy.keep_one_owner() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM tenancy.tenants WHERE id = OLD.tenant_id FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (SELECT FROM tenancy.workspace_members m
                             WHERE m.tenant_id = OLD.tenant_id AND m.role = 'owner' AND m.suspended_at IS NULL AND m.id <> OLD.id) THEN
        RAISE EXCEPTION 'a tenant keeps at least one owner' USING ERRCODE = 'check_violation', CONSTRAINT = 'last_owner_stays';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;

CREATE TRIGGER keep_one_owner_on_suspension BEFORE UPDATE OF suspended_at ON tenancy.workspace_members
    FOR EACH ROW WHEN (OLD.role = 'owner' AND OLD.suspended_at IS NULL AND NEW.suspended_at IS NOT NULL) EXECUTE FUNCTION tenancy.keep_one_owner();
