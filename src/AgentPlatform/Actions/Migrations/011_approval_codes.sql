-- Codes with which a member answers an approval by replying to the message that asked them. A code is good for one approval, one member and
-- the one address it was sent to. Only its hash is kept.

ALTER TABLE actions.approval_decisions
    DROP CONSTRAINT approval_decisions_via_known,
    ADD CONSTRAINT approval_decisions_via_known CHECK (via IN ('api', 'link', 'reply'));

CREATE TABLE actions.approval_codes (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    approval_id uuid NOT NULL,
    user_id uuid NOT NULL,
    channel text NOT NULL CONSTRAINT approval_codes_channel_known CHECK (channel IN ('sms', 'email')),
    address text NOT NULL,
    code_hash text NOT NULL,
    -- Answers from the address that named no code of its own, while this one was open: too many close it.
    wrong_answers int NOT NULL DEFAULT 0,
    answered_at timestamptz,
    created_at timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT approval_codes_once UNIQUE (tenant_id, approval_id, user_id),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES actions.action_approvals (tenant_id, id) ON DELETE CASCADE,
    -- Who is no longer a member answers nothing.
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
);

-- A reply is looked up by where it came from; a stranger's by the code.
CREATE INDEX idx_approval_codes_address ON actions.approval_codes (tenant_id, channel, address);
CREATE INDEX idx_approval_codes_hash ON actions.approval_codes (tenant_id, code_hash);
CREATE INDEX idx_approval_codes_user ON actions.approval_codes (user_id);

SELECT kernel.protect('actions.approval_codes');

-- Who was told, and over what, is part of an approval as it is shown.
CREATE OR REPLACE VIEW actions.approvals WITH (security_invoker = true) AS
SELECT a.*,
       coalesce((SELECT jsonb_agg(jsonb_build_object('user_id', d.user_id, 'decision', d.decision, 'via', d.via, 'edits', d.edits,
                                                     'reason', d.reason, 'decided_at', d.decided_at) ORDER BY d.decided_at)
                 FROM actions.approval_decisions d WHERE d.approval_id = a.id), '[]') AS decisions,
       coalesce((SELECT jsonb_agg(jsonb_build_object('from_user', g.from_user, 'to_user', g.to_user, 'delegated_at', g.delegated_at) ORDER BY g.delegated_at)
                 FROM actions.approval_delegations g WHERE g.approval_id = a.id), '[]') AS delegations,
       coalesce((SELECT jsonb_agg(jsonb_build_object('user_id', c.user_id, 'channel', c.channel, 'told_at', c.created_at, 'answered_at', c.answered_at,
                                                     'wrong_answers', c.wrong_answers) ORDER BY c.created_at, c.id)
                 FROM actions.approval_codes c WHERE c.approval_id = a.id), '[]') AS told
FROM actions.action_approvals a;
