-- Whether an agent keeps what happened and recalls it in later turns.
ALTER TABLE tenancy.instance_configs ADD COLUMN memory boolean NOT NULL DEFAULT false;

-- Published for Memory, whose triggers see agents by their ids.
CREATE FUNCTION tenancy.agent_remembers(p_tenant_id uuid, p_agent_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM tenancy.instance_configs c WHERE c.tenant_id = p_tenant_id AND c.agent_id = p_agent_id AND c.memory);
$$;
