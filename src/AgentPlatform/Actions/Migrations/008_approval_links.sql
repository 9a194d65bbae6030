-- A link with which one member answers one approval, without signing in. Only the hash of its token is kept.

CREATE TABLE actions.approval_links (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    approval_id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash text NOT NULL CONSTRAINT approval_links_token UNIQUE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES actions.action_approvals (tenant_id, id) ON DELETE CASCADE,
    -- Who is no longer a member answers nothing.
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
);

CREATE INDEX idx_approval_links_approval ON actions.approval_links (approval_id);
CREATE INDEX idx_approval_links_user ON actions.approval_links (user_id);

SELECT kernel.protect('actions.approval_links');
CREATE POLICY bearer ON actions.approval_links FOR SELECT TO agentplatform_app USING (token_hash = kernel.current_bearer());
