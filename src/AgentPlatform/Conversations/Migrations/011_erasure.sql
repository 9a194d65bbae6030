SELECT kernel.let_erase('conversations.turn_records', 'refuse_change');
SELECT kernel.let_erase('conversations.audit_events', 'refuse_change');

-- Published for the modules that keep something of conversations.
CREATE FUNCTION conversations.of_contacts(p_contacts uuid[]) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(id), '{}') FROM conversations.conversations WHERE tenant_id = kernel.current_tenant_id() AND contact_id = ANY (p_contacts)
$$;
CREATE INDEX idx_sessions_contact ON conversations.sessions (tenant_id, contact_id);
