-- Published for Memory: what is said in a private conversation is not remembered.
CREATE FUNCTION conversations.is_shared(p_tenant_id uuid, p_conversation_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM conversations.conversations c WHERE c.tenant_id = p_tenant_id AND c.id = p_conversation_id AND c.shared);
$$;
