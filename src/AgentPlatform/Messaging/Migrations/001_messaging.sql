-- What agents want to say, what becomes of it, and how much of it a person is willing to hear.

GRANT USAGE ON SCHEMA messaging TO agentplatform_app, agentplatform_worker;

CREATE TABLE messaging.message_queue (
    tenant_id                uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                       uuid        NOT NULL,
    contact_id               uuid        NOT NULL,
    agent_id                 text        NOT NULL,
    conversation_context_id  uuid        NOT NULL,
    in_reply_to_inbound_id   uuid,
    message_data             jsonb       NOT NULL,
    final_message            text,
    scheduled_for            timestamptz NOT NULL DEFAULT now(),
    priority                 text        NOT NULL DEFAULT 'medium',
    proactive                boolean     NOT NULL DEFAULT false,
    status                   text        NOT NULL DEFAULT 'queued',
    hold_reason              text,
    supersede_key            text,
    superseded_by_message_id uuid,
    superseded_reason        text,
    requires_fresh_context   boolean     NOT NULL DEFAULT false,
    idempotency_key          text,
    failure                  text,
    approved_at              timestamptz,
    sent_at                  timestamptz,
    delivered_message_id     uuid,
    created_at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_context_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT message_queue_superseder_fk FOREIGN KEY (tenant_id, superseded_by_message_id) REFERENCES messaging.message_queue (tenant_id, id)
        ON DELETE SET NULL (superseded_by_message_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT message_queue_once UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT message_queue_priority CHECK (priority IN ('critical', 'urgent', 'high', 'medium', 'low')),
    CONSTRAINT message_queue_status CHECK (status IN ('queued', 'held', 'approved', 'sent', 'superseded', 'failed', 'cancelled')),
    CONSTRAINT message_queue_held CHECK ((hold_reason IS NOT NULL) = (status = 'held')),
    CONSTRAINT message_queue_hold_reason CHECK (hold_reason IN ('scheduled', 'quiet_hours', 'daily_limit', 'hourly_limit')),
    CONSTRAINT message_queue_superseded CHECK ((superseded_reason IS NOT NULL) = (status = 'superseded')),
    CONSTRAINT message_queue_sent CHECK ((sent_at IS NOT NULL) = (status = 'sent'))
);
CREATE INDEX idx_queue_user_pending ON messaging.message_queue (tenant_id, contact_id, status, scheduled_for) WHERE status IN ('queued', 'held', 'approved');
CREATE INDEX idx_queue_due ON messaging.message_queue (status, scheduled_for, priority) WHERE status = 'approved';
CREATE INDEX message_queue_of_conversation ON messaging.message_queue (tenant_id, conversation_context_id, id DESC);
CREATE INDEX message_queue_supersedable ON messaging.message_queue (tenant_id, conversation_context_id, supersede_key) WHERE status IN ('queued', 'held') AND supersede_key IS NOT NULL;
CREATE INDEX message_queue_superseder ON messaging.message_queue (tenant_id, superseded_by_message_id) WHERE superseded_by_message_id IS NOT NULL;
-- The hourly limit counts what was approved for a person in the last hour.
CREATE INDEX message_queue_approved ON messaging.message_queue (tenant_id, contact_id, approved_at) WHERE proactive AND approved_at IS NOT NULL;
SELECT kernel.protect('messaging.message_queue');

CREATE TABLE messaging.user_message_budget (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    contact_id          uuid        NOT NULL,
    date                date        NOT NULL,
    messages_sent       integer     NOT NULL DEFAULT 0,
    last_message_at     timestamptz,
    daily_limit         integer     NOT NULL DEFAULT 5,
    hourly_limit        integer     NOT NULL DEFAULT 2,
    quiet_hours_enabled boolean     NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT user_message_budget_one_a_day UNIQUE (tenant_id, contact_id, date),
    CONSTRAINT user_message_budget_limits CHECK (daily_limit >= 0 AND hourly_limit >= 0),
    CONSTRAINT user_message_budget_kept CHECK (messages_sent >= 0)
);
CREATE INDEX idx_budget_user_date ON messaging.user_message_budget (tenant_id, contact_id, date DESC);
SELECT kernel.protect('messaging.user_message_budget');

-- Written before a provider is called and settled after: a row that is 'calling' when a worker comes back to it means that the
-- outcome of the call was lost, and that the provider has to be asked before anything is sent.
CREATE TABLE messaging.effects (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    queue_id            uuid        NOT NULL,
    outbound_message_id uuid        NOT NULL,
    message_id          uuid        NOT NULL,
    idempotency_key     text        NOT NULL,
    intent              jsonb       NOT NULL,
    status              text        NOT NULL,
    attempts            integer     NOT NULL DEFAULT 0,
    probes              integer     NOT NULL DEFAULT 0,
    outcome             jsonb,
    error               text,
    first_attempt_at    timestamptz NOT NULL,
    last_attempt_at     timestamptz NOT NULL,
    settled_at          timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, queue_id) REFERENCES messaging.message_queue (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT effects_one_a_message UNIQUE (tenant_id, queue_id),
    CONSTRAINT effects_once UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT effects_status CHECK (status IN ('calling', 'unknown', 'not_sent', 'accepted', 'rejected', 'abandoned')),
    CONSTRAINT effects_settled CHECK ((settled_at IS NOT NULL) = (status IN ('accepted', 'rejected', 'abandoned')))
);
CREATE INDEX effects_open ON messaging.effects (tenant_id, status) WHERE settled_at IS NULL;
SELECT kernel.protect('messaging.effects');
