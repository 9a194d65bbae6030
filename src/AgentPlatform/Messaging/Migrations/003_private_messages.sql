-- What is to be said in a private conversation is seen with it.
CREATE POLICY user_isolation_policy ON messaging.message_queue AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING ((SELECT kernel.is_system()) OR (SELECT kernel.current_user_id()) IS NULL OR conversations.is_visible(tenant_id, conversation_context_id));
