-- Published: what all agents of a tenant are told has changed. In one order, so that two such changes wait for each other and never both.
CREATE FUNCTION agents.raise_guidance_of_all(p_tenant_id uuid) RETURNS void LANGUAGE sql AS $$
    INSERT INTO agents.guidance (tenant_id, agent_id)
    SELECT a.tenant_id, a.id FROM tenancy.agents a JOIN tenancy.tenants t ON t.id = a.tenant_id WHERE a.tenant_id = p_tenant_id ORDER BY a.id
    ON CONFLICT (tenant_id, agent_id) DO UPDATE SET version = guidance.version + 1
$$;
