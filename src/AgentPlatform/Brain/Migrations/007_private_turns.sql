-- What a model was told of a private conversation is seen with it, and so are its turns as shadows took them.
CREATE POLICY user_isolation_policy ON models.agent_actions_log AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (context_type <> 'conversation' OR (SELECT kernel.is_system()) OR (SELECT kernel.current_user_id()) IS NULL OR conversations.is_visible(tenant_id, context_id));
CREATE POLICY user_isolation_policy ON brain.shadow_turns AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING ((SELECT kernel.is_system()) OR conversations.is_visible(tenant_id, conversation_id));
