-- Actions that a person must allow: what is asked, who answered, and who passed the question on.

ALTER TABLE actions.action_registry ADD COLUMN approval jsonb;

CREATE TABLE actions.action_approvals (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    action_queue_id uuid NOT NULL,
    action_type text NOT NULL,
    action_description text NOT NULL,
    action_params jsonb NOT NULL,
    editable_fields text[] NOT NULL DEFAULT '{}',
    risk_level text NOT NULL CONSTRAINT action_approvals_risk_known CHECK (risk_level IN ('low', 'medium', 'high', 'critical')),
    risk_factors jsonb NOT NULL DEFAULT '[]',
    screenshot_url text,
    quorum int NOT NULL DEFAULT 1 CONSTRAINT action_approvals_quorum_range CHECK (quorum BETWEEN 1 AND 20),

    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT action_approvals_status_known CHECK (status IN ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
    approved_at timestamptz,
    rejected_at timestamptz,
    rejection_reason text,
    expires_at timestamptz NOT NULL,
    timeout_action text NOT NULL DEFAULT 'reject' CONSTRAINT action_approvals_timeout_known CHECK (timeout_action IN ('reject', 'approve')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT action_approvals_end_is_whole CHECK (CASE status
        WHEN 'approved' THEN approved_at IS NOT NULL AND rejected_at IS NULL
        WHEN 'rejected' THEN approved_at IS NULL AND rejected_at IS NOT NULL
        WHEN 'expired' THEN (approved_at IS NULL) <> (rejected_at IS NULL)
        ELSE approved_at IS NULL AND rejected_at IS NULL END),
    CONSTRAINT action_approvals_refusal_says_why CHECK ((rejected_at IS NULL) = (rejection_reason IS NULL)),
    FOREIGN KEY (tenant_id, action_queue_id) REFERENCES actions.action_queue (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_action_approvals_execution ON actions.action_approvals (action_queue_id);
-- A request asks one question at a time.
CREATE UNIQUE INDEX uq_action_approvals_open ON actions.action_approvals (tenant_id, action_queue_id) WHERE status = 'pending';
CREATE INDEX idx_action_approvals_status ON actions.action_approvals (tenant_id, status, id DESC);

SELECT kernel.protect('actions.action_approvals');

CREATE TABLE actions.approval_decisions (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    approval_id uuid NOT NULL,
    user_id uuid NOT NULL,
    decision text NOT NULL CONSTRAINT approval_decisions_known CHECK (decision IN ('approve', 'reject')),
    via text NOT NULL CONSTRAINT approval_decisions_via_known CHECK (via IN ('api', 'link')),
    edits jsonb,
    reason text,
    decided_at timestamptz NOT NULL,

    -- A member answers once.
    PRIMARY KEY (tenant_id, approval_id, user_id),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES actions.action_approvals (tenant_id, id) ON DELETE CASCADE
);

SELECT kernel.protect('actions.approval_decisions');
SELECT kernel.append_only('actions.approval_decisions');

CREATE TABLE actions.approval_delegations (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    approval_id uuid NOT NULL,
    from_user uuid NOT NULL,
    to_user uuid NOT NULL,
    delegated_at timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, approval_id, from_user),
    CONSTRAINT approval_delegations_to_another CHECK (from_user <> to_user),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES actions.action_approvals (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT approval_delegations_to_member FOREIGN KEY (tenant_id, to_user)
        REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
);

CREATE INDEX idx_approval_delegations_to ON actions.approval_delegations (to_user);

SELECT kernel.protect('actions.approval_delegations');
SELECT kernel.append_only('actions.approval_delegations');

-- An approval as it is read and shown: with its answers and delegations.
CREATE VIEW actions.approvals WITH (security_invoker = true) AS
SELECT a.*,
       coalesce((SELECT jsonb_agg(jsonb_build_object('user_id', d.user_id, 'decision', d.decision, 'via', d.via, 'edits', d.edits,
                                                     'reason', d.reason, 'decided_at', d.decided_at) ORDER BY d.decided_at)
                 FROM actions.approval_decisions d WHERE d.approval_id = a.id), '[]') AS decisions,
       coalesce((SELECT jsonb_agg(jsonb_build_object('from_user', g.from_user, 'to_user', g.to_user, 'delegated_at', g.delegated_at) ORDER BY g.delegated_at)
                 FROM actions.approval_delegations g WHERE g.approval_id = a.id), '[]') AS delegations
FROM actions.action_approvals a;

GRANT SELECT ON actions.approvals TO agentplatform_app;
