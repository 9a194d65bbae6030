-- What happened in a private conversation is seen with it: in lists of events, in histories and on live streams. The platform at
-- work, and the archiving job, which acts for no user, are bound by the other policies alone.
CREATE POLICY user_isolation_policy ON events.events AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (aggregate_type <> 'conversation' OR kernel.is_system() OR kernel.current_user_id() IS NULL
           OR conversations.is_visible(tenant_id, aggregate_id));
CREATE POLICY user_isolation_policy ON events.archived_events AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (aggregate_type <> 'conversation' OR kernel.is_system() OR kernel.current_user_id() IS NULL
           OR conversations.is_visible(tenant_id, aggregate_id));
