-- Which talks are in a version of a scenario: what a migration plan marks.
CREATE INDEX idx_sessions_scenario ON conversations.sessions (tenant_id, active_scenario_id, active_scenario_version) WHERE status = 'ACTIVE' AND active_scenario_id IS NOT NULL;
