-- A call may be about something else than a conversation with somebody: a plan, a draft. context_type says what.
ALTER TABLE models.agent_actions_log ALTER COLUMN contact_id DROP NOT NULL;
