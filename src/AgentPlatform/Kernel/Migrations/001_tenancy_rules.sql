-- Roles, the current actor, and the two helpers that every module's tables go through.

DO $$
BEGIN
    -- Roles are shared by all databases of a cluster: another database may have made them, even at this moment.
    BEGIN CREATE ROLE agentplatform_app NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    BEGIN CREATE ROLE agentplatform_worker NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    IF NOT pg_has_role(current_user, 'agentplatform_app', 'MEMBER') THEN
        EXECUTE format('GRANT agentplatform_app TO %I', current_user);
    END IF;
    IF NOT pg_has_role(current_user, 'agentplatform_worker', 'MEMBER') THEN
        EXECUTE format('GRANT agentplatform_worker TO %I', current_user);
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pgcrypto;

GRANT USAGE ON SCHEMA kernel TO agentplatform_app, agentplatform_worker;

CREATE FUNCTION kernel.current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::uuid;

-- Null, and so nothing visible, unless both the tenant and the user are set.
CREATE FUNCTION kernel.current_tenant_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN nullif(current_setting('app.user_id', true), '') IS NOT NULL
                THEN nullif(current_setting('app.tenant_id', true), '')::uuid END;

-- The platform acting for the tenant (turns, jobs, webhooks) is the nil user.
CREATE FUNCTION kernel.is_system() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.user_id', true), '') = '00000000-0000-0000-0000-000000000000';

CREATE FUNCTION kernel.current_role_name() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.role', true), '');

CREATE FUNCTION kernel.may_write() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN kernel.current_role_name() NOT IN ('', 'viewer');

-- The secret a caller presented before its tenant is known (channel token, API key hash).
CREATE FUNCTION kernel.current_bearer() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.bearer', true), '');

CREATE FUNCTION kernel.update_updated_at_column() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE FUNCTION kernel.refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

-- Makes a tenant-owned table: row level security for everybody, the owner included; writes only for roles that may write.
CREATE FUNCTION kernel.protect(target regclass) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_read ON %s FOR SELECT TO agentplatform_app USING (tenant_id = kernel.current_tenant_id())', target);
    EXECUTE format('CREATE POLICY tenant_insert ON %s FOR INSERT TO agentplatform_app WITH CHECK (tenant_id = kernel.current_tenant_id() AND kernel.may_write())', target);
    EXECUTE format('CREATE POLICY tenant_update ON %s FOR UPDATE TO agentplatform_app USING (tenant_id = kernel.current_tenant_id() AND kernel.may_write())', target);
    EXECUTE format('CREATE POLICY tenant_delete ON %s FOR DELETE TO agentplatform_app USING (tenant_id = kernel.current_tenant_id() AND kernel.may_write())', target);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO agentplatform_app', target);
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = target AND attname = 'updated_at' AND NOT attisdropped) THEN
        EXECUTE format('CREATE TRIGGER set_updated_at BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column()', target);
    END IF;
END
$$;

-- A log or a ledger: rows come, and never change. Deleting the tenant still removes them, because a cascade runs one trigger deeper.
CREATE FUNCTION kernel.append_only(target regclass) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %s FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kernel.refuse_change()', target);
    EXECUTE format('REVOKE UPDATE, DELETE ON %s FROM agentplatform_app', target);
END
$$;

REVOKE EXECUTE ON FUNCTION kernel.protect(regclass), kernel.append_only(regclass) FROM PUBLIC;
