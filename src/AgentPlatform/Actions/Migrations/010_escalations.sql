-- Where a given-up action is reported: a call like any other, with an effect of its own.

ALTER TABLE actions.action_registry ADD COLUMN escalation jsonb;

ALTER TABLE actions.effects
    ADD COLUMN purpose text NOT NULL DEFAULT 'call' CONSTRAINT effect_purpose_known CHECK (purpose IN ('call', 'escalation')),
    DROP CONSTRAINT effect_once_per_request,
    ADD CONSTRAINT effect_once_per_request UNIQUE (tenant_id, action_queue_id, purpose, step);
