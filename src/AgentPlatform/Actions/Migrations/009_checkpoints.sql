-- Actions that make one call per item of a list: each call is an effect of its own, and checkpoints say how far a request has come.

ALTER TABLE actions.action_registry ADD COLUMN for_each jsonb;

ALTER TABLE actions.effects
    ADD COLUMN step int NOT NULL DEFAULT 0 CONSTRAINT effect_step_counts_up CHECK (step >= 0),
    DROP CONSTRAINT effect_once_per_request,
    ADD CONSTRAINT effect_once_per_request UNIQUE (tenant_id, action_queue_id, step);

CREATE TABLE actions.execution_checkpoints (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    checkpoint_id text NOT NULL UNIQUE,
    action_queue_id uuid NOT NULL,
    execution_id text,

    phase_id int,
    phase_name text,
    step_index int NOT NULL DEFAULT 0 CONSTRAINT execution_checkpoints_step_counts_up CHECK (step_index >= 0),
    completed_steps jsonb NOT NULL DEFAULT '[]',
    completed_phases jsonb NOT NULL DEFAULT '[]',
    partial_results jsonb NOT NULL DEFAULT '{}',
    extracted_data jsonb NOT NULL DEFAULT '{}',
    session_state jsonb,
    browser_context jsonb,
    error_info jsonb,
    checkpoint_reason text NOT NULL
        CONSTRAINT execution_checkpoints_reason_known CHECK (checkpoint_reason IN ('error', 'manual', 'auto', 'phase_complete')),
    can_resume boolean NOT NULL DEFAULT true,
    resume_count int NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT execution_checkpoints_error_is_told CHECK ((checkpoint_reason = 'error') = (error_info IS NOT NULL)),
    CONSTRAINT execution_checkpoints_steps_agree CHECK (jsonb_array_length(completed_steps) = step_index),
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX execution_checkpoint_execution_id_idx ON actions.execution_checkpoints (tenant_id, action_queue_id, id DESC);
CREATE INDEX execution_checkpoint_created_at_idx ON actions.execution_checkpoints (created_at);
-- Retention.
CREATE INDEX execution_checkpoint_expires_at_idx ON actions.execution_checkpoints (expires_at) WHERE expires_at IS NOT NULL;

SELECT kernel.protect('actions.execution_checkpoints');
-- Retention may remove what has expired, in every tenant, and nothing else.
CREATE POLICY retention ON actions.execution_checkpoints TO agentplatform_worker USING (expires_at < now());
GRANT USAGE ON SCHEMA actions TO agentplatform_worker;
GRANT SELECT, DELETE ON actions.execution_checkpoints TO agentplatform_worker;

-- Recovery looks, in every tenant, for requests whose last sign of life is old.
CREATE INDEX idx_action_queue_signs_of_life ON actions.action_queue (greatest(started_at, last_checkpoint_at)) WHERE status = 'executing';
CREATE POLICY recovery ON actions.action_queue FOR SELECT TO agentplatform_worker USING (status = 'executing');
GRANT SELECT ON actions.action_queue TO agentplatform_worker;

-- The part of a retry's delay by which chance may shorten it; copied from the policy like the rest of it.
ALTER TABLE actions.action_queue ADD COLUMN retry_jitter double precision NOT NULL DEFAULT 0
    CONSTRAINT action_queue_jitter_range CHECK (retry_jitter BETWEEN 0 AND 1);
