-- One row per execution (a queued action): what an operator has told it.

CREATE TABLE actions.execution_controls (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    action_queue_id uuid NOT NULL,
    control_state text NOT NULL
        CONSTRAINT execution_controls_state_known CHECK (control_state IN ('running', 'paused', 'cancelled', 'awaiting_approval')),
    state_reason text,
    injected_instruction text,
    injected_at timestamptz,
    checkpoint_data jsonb,
    last_state_change timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT execution_controls_once UNIQUE (tenant_id, action_queue_id),
    CONSTRAINT execution_controls_instruction_is_dated CHECK (injected_instruction IS NULL OR injected_at IS NOT NULL),
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE CASCADE
);

SELECT kernel.protect('actions.execution_controls');
