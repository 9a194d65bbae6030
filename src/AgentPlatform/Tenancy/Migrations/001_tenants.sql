-- A tenant is a brand or a workspace; its agents are the brand's instances. Who owns and who works in it are users of
-- module Identity, which adds the foreign keys to identity.users as soon as that table exists.

GRANT USAGE ON SCHEMA tenancy TO agentplatform_app, agentplatform_worker;

CREATE TABLE tenancy.tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    slug       text NOT NULL,
    owner_id   uuid NOT NULL,
    settings   jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_slug_key UNIQUE (slug),
    CONSTRAINT tenant_name_is_given CHECK (length(btrim(name)) BETWEEN 1 AND 255),
    CONSTRAINT tenant_slug_is_a_slug CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$'),
    CONSTRAINT tenant_settings_is_an_object CHECK (jsonb_typeof(settings) = 'object')
);

CREATE INDEX idx_tenants_owner ON tenancy.tenants (owner_id);

CREATE TABLE tenancy.workspace_members (
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    user_id    uuid NOT NULL,
    role       text NOT NULL DEFAULT 'member',
    joined_at  timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workspace_members_tenant_id_user_id_key UNIQUE (tenant_id, user_id),
    CONSTRAINT member_role_is_known CHECK (role IN ('owner', 'admin', 'member', 'viewer'))
);

CREATE INDEX idx_workspace_members_user ON tenancy.workspace_members (user_id);

CREATE TABLE tenancy.agents (
    tenant_id     uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid NOT NULL,
    name          text NOT NULL,
    description   text,
    system_prompt text,
    default_model text,
    enabled       boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT agent_name_is_given CHECK (length(btrim(name)) BETWEEN 1 AND 255),
    CONSTRAINT agent_model_is_short CHECK (length(default_model) <= 100)
);

-- A deleted agent frees its name.
CREATE UNIQUE INDEX uq_agents_tenant_name ON tenancy.agents (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX idx_agents_tenant ON tenancy.agents (tenant_id, created_at) WHERE deleted_at IS NULL;

CREATE TABLE tenancy.instance_configs (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    agent_id        uuid NOT NULL,
    popular_actions text[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, agent_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT popular_actions_are_few CHECK (cardinality(popular_actions) <= 50)
);

SELECT kernel.protect('tenancy.agents');
SELECT kernel.protect('tenancy.instance_configs');

-- Tenants and members are also seen by the user they concern, whichever tenant that user acts in, so that "my tenants" is a query.
ALTER TABLE tenancy.workspace_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.workspace_members FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.tenants FORCE ROW LEVEL SECURITY;

CREATE FUNCTION tenancy.may_manage() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN kernel.current_role_name() IN ('owner', 'admin', 'system');

CREATE POLICY tenant_isolation ON tenancy.workspace_members FOR SELECT TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() OR user_id = kernel.current_user_id());
CREATE POLICY members_insert ON tenancy.workspace_members FOR INSERT TO agentplatform_app
    WITH CHECK (tenant_id = kernel.current_tenant_id() AND tenancy.may_manage());
CREATE POLICY members_update ON tenancy.workspace_members FOR UPDATE TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND tenancy.may_manage());
CREATE POLICY members_delete ON tenancy.workspace_members FOR DELETE TO agentplatform_app
    USING (tenant_id = kernel.current_tenant_id() AND (tenancy.may_manage() OR user_id = kernel.current_user_id()));

CREATE POLICY tenant_isolation ON tenancy.tenants FOR SELECT TO agentplatform_app
    USING (id = kernel.current_tenant_id()
           OR EXISTS (SELECT FROM tenancy.workspace_members m WHERE m.tenant_id = tenants.id AND m.user_id = kernel.current_user_id()));
CREATE POLICY tenants_insert ON tenancy.tenants FOR INSERT TO agentplatform_app
    WITH CHECK (id = kernel.current_tenant_id() AND tenancy.may_manage());
CREATE POLICY tenants_update ON tenancy.tenants FOR UPDATE TO agentplatform_app
    USING (id = kernel.current_tenant_id() AND tenancy.may_manage());
CREATE POLICY tenants_delete ON tenancy.tenants FOR DELETE TO agentplatform_app
    USING (id = kernel.current_tenant_id() AND kernel.current_role_name() IN ('owner', 'system'));

GRANT SELECT, INSERT, UPDATE, DELETE ON tenancy.tenants, tenancy.workspace_members TO agentplatform_app;

CREATE TRIGGER set_updated_at BEFORE UPDATE ON tenancy.tenants FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON tenancy.workspace_members FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column();

-- The tenant's row is locked first: otherwise two owners who remove each other at the same moment would both find one owner left.
-- A tenant that is itself being deleted is no longer there, and its members go with it.
CREATE FUNCTION tenancy.keep_one_owner() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM tenancy.tenants WHERE id = OLD.tenant_id FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (SELECT FROM tenancy.workspace_members m
                             WHERE m.tenant_id = OLD.tenant_id AND m.role = 'owner' AND m.id <> OLD.id) THEN
        RAISE EXCEPTION 'a tenant keeps at least one owner' USING ERRCODE = 'check_violation', CONSTRAINT = 'last_owner_stays';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;

CREATE TRIGGER keep_one_owner_on_update BEFORE UPDATE OF role ON tenancy.workspace_members
    FOR EACH ROW WHEN (OLD.role = 'owner' AND NEW.role <> 'owner') EXECUTE FUNCTION tenancy.keep_one_owner();
CREATE TRIGGER keep_one_owner_on_delete BEFORE DELETE ON tenancy.workspace_members
    FOR EACH ROW WHEN (OLD.role = 'owner') EXECUTE FUNCTION tenancy.keep_one_owner();

-- Published: the role of a user in the acting tenant, null when the user is no member.
CREATE FUNCTION tenancy.member_role(member uuid) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT m.role FROM tenancy.workspace_members m WHERE m.tenant_id = kernel.current_tenant_id() AND m.user_id = member);
