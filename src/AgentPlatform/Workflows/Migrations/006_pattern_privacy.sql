-- Row level security says itself who sees a pattern: the platform's and public ones everybody, one's own its owner. Others' private ones are not there.
CREATE POLICY shared_or_own ON workflows.workflow_patterns AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (user_id IS NULL OR is_public OR user_id = (SELECT kernel.current_user_id()) OR (SELECT kernel.is_system()));
CREATE POLICY shared_or_own_update ON workflows.workflow_patterns AS RESTRICTIVE FOR UPDATE TO agentplatform_app
    USING (user_id IS NULL OR is_public OR user_id = (SELECT kernel.current_user_id()) OR (SELECT kernel.is_system()));
CREATE POLICY own_insert ON workflows.workflow_patterns AS RESTRICTIVE FOR INSERT TO agentplatform_app
    WITH CHECK (user_id = (SELECT kernel.current_user_id()) OR (SELECT kernel.is_system()));
CREATE POLICY own_delete ON workflows.workflow_patterns AS RESTRICTIVE FOR DELETE TO agentplatform_app
    USING (user_id = (SELECT kernel.current_user_id()) OR (SELECT kernel.is_system()));

-- Whoever uses a pattern counts that; nobody rewrites one.
REVOKE UPDATE ON workflows.workflow_patterns FROM agentplatform_app;
GRANT UPDATE (usage_count, run_count, success_rate, avg_execution_time, last_used_at) ON workflows.workflow_patterns TO agentplatform_app;
