-- What was asked of the outside, and what became of it: a row is committed before a call and settled after it.

-- Entries of before were written under the rule that endpoints honour our Idempotency-Key; a new one must say so.
ALTER TABLE actions.action_registry
    ADD COLUMN api_idempotent boolean NOT NULL DEFAULT true,
    ADD COLUMN probe jsonb;
ALTER TABLE actions.action_registry ALTER COLUMN api_idempotent SET DEFAULT false;

CREATE TABLE actions.effects (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    action_queue_id uuid NOT NULL,
    execution_id text,
    idempotency_key text NOT NULL,
    intent jsonb NOT NULL,
    status text NOT NULL CONSTRAINT effect_status_known CHECK (status IN ('calling', 'unknown', 'not_happened', 'happened')),
    attempts int NOT NULL,
    probes int NOT NULL DEFAULT 0,
    outcome jsonb,
    error text,
    first_attempt_at timestamptz NOT NULL,
    last_attempt_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT effect_once_per_request UNIQUE (tenant_id, action_queue_id),
    CONSTRAINT effect_settlement_is_whole CHECK ((status IN ('not_happened', 'happened')) = (settled_at IS NOT NULL)),
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE CASCADE
);

-- What a person has to look into.
CREATE INDEX idx_effects_open ON actions.effects (tenant_id, id DESC) WHERE settled_at IS NULL;

SELECT kernel.protect('actions.effects');
