-- A policy that asks for the tenant in a subquery asks once a statement, and its plan does not depend on which tenant was the first: Postgres
-- otherwise reckons with the rows of the tenant that happened to be current when it made the plan that all of them share from then on.
CREATE OR REPLACE FUNCTION kernel.protect(target regclass) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    mine     constant text := 'tenant_id = (SELECT kernel.current_tenant_id())';
    my_write constant text := mine || ' AND (SELECT kernel.may_write())';
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_read ON %s FOR SELECT TO agentplatform_app USING (%s)', target, mine);
    EXECUTE format('CREATE POLICY tenant_insert ON %s FOR INSERT TO agentplatform_app WITH CHECK (%s)', target, my_write);
    EXECUTE format('CREATE POLICY tenant_update ON %s FOR UPDATE TO agentplatform_app USING (%s)', target, my_write);
    EXECUTE format('CREATE POLICY tenant_delete ON %s FOR DELETE TO agentplatform_app USING (%s)', target, my_write);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO agentplatform_app', target);
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = target AND attname = 'updated_at' AND NOT attisdropped) THEN
        EXECUTE format('CREATE TRIGGER set_updated_at BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column()', target);
    END IF;
END
$$;

-- The tables that are protected already. A table is locked for an instant.
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT format('%I.%I', schemaname, tablename) AS target, policyname AS name,
               replace(replace(qual, 'kernel.current_tenant_id()', '(SELECT kernel.current_tenant_id())'), 'kernel.may_write()', '(SELECT kernel.may_write())') AS seen,
               replace(replace(with_check, 'kernel.current_tenant_id()', '(SELECT kernel.current_tenant_id())'), 'kernel.may_write()', '(SELECT kernel.may_write())') AS written
        FROM pg_policies
        WHERE policyname IN ('tenant_read', 'tenant_insert', 'tenant_update', 'tenant_delete')
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER POLICY %I ON %s', policy.name, policy.target)
            || coalesce(' USING (' || policy.seen || ')', '') || coalesce(' WITH CHECK (' || policy.written || ')', '');
    END LOOP;
END
$$;
