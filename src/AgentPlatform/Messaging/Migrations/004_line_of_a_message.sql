-- Published for those who follow what they queued: the line of the conversation that a message becomes, known from before its provider is called.
CREATE FUNCTION messaging.line_of(p_tenant_id uuid, p_queue_id uuid) RETURNS uuid LANGUAGE sql STABLE
    RETURN coalesce(
        (SELECT message_id FROM messaging.effects WHERE tenant_id = p_tenant_id AND queue_id = p_queue_id),
        (SELECT delivered_message_id FROM messaging.message_queue WHERE tenant_id = p_tenant_id AND id = p_queue_id));
