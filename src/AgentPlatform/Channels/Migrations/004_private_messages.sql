-- What was written in a private conversation is seen with it, as it came in and as it left.
CREATE POLICY user_isolation_policy ON channels.inbound_messages AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (conversation_id IS NULL OR (SELECT kernel.is_system()) OR (SELECT kernel.current_user_id()) IS NULL OR conversations.is_visible(tenant_id, conversation_id));
CREATE POLICY user_isolation_policy ON channels.outbound_messages AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (conversation_id IS NULL OR (SELECT kernel.is_system()) OR (SELECT kernel.current_user_id()) IS NULL OR conversations.is_visible(tenant_id, conversation_id));
