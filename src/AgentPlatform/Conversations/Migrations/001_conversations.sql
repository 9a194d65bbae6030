GRANT USAGE ON SCHEMA conversations TO agentplatform_app;

CREATE TABLE conversations.conversations (
    tenant_id               uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                      uuid         NOT NULL,
    conversation_uuid       uuid         NOT NULL DEFAULT gen_random_uuid(),
    contact_id              uuid,
    agent_id                uuid,
    user_id                 uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    shared                  boolean      NOT NULL DEFAULT true,
    webhook_id              uuid,
    channel                 varchar(50)  NOT NULL,
    participant_identifier  varchar(255) NOT NULL,
    phone_number            varchar(20),
    status                  varchar(50)  NOT NULL DEFAULT 'active',
    handled_by              varchar(20)  NOT NULL DEFAULT 'bot',
    assigned_user_id        uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    title                   varchar(500),
    topic                   varchar(255),
    data                    jsonb        NOT NULL DEFAULT '{}',
    conversation_summary    text,
    last_summary_message_id uuid,
    messages_since_summary  integer      NOT NULL DEFAULT 0,
    context_memory          jsonb        NOT NULL DEFAULT '{}',
    ai_personality          varchar(50)  NOT NULL DEFAULT 'professional',
    auto_create_tasks       boolean      NOT NULL DEFAULT true,
    require_confirmation    boolean      NOT NULL DEFAULT false,
    message_count           integer      NOT NULL DEFAULT 0,
    tasks_created           integer      NOT NULL DEFAULT 0,
    last_message_at         timestamptz,
    started_at              timestamptz  NOT NULL DEFAULT now(),
    resolved_at             timestamptz,
    changed_at              timestamptz  NOT NULL DEFAULT clock_timestamp(),
    created_at              timestamptz  NOT NULL DEFAULT now(),
    updated_at              timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT conversation_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT conversation_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE SET NULL (agent_id),
    CONSTRAINT conversation_channel CHECK (channel IN ('sms', 'email', 'webhook', 'web', 'console')),
    CONSTRAINT conversation_status CHECK (status IN ('active', 'paused', 'resolved', 'completed', 'closed', 'archived')),
    CONSTRAINT conversation_handled_by CHECK (handled_by IN ('bot', 'human')),
    CONSTRAINT conversation_has_somebody CHECK (contact_id IS NOT NULL OR channel = 'console'),
    CONSTRAINT conversation_resolved_when CHECK (status <> 'resolved' OR resolved_at IS NOT NULL),
    CONSTRAINT conversation_counts CHECK (message_count >= 0 AND messages_since_summary BETWEEN 0 AND 49 AND tasks_created >= 0)
) WITH (fillfactor = 70);

-- Two first messages at once must meet in one conversation; a paused one is joined, so that a pause silences the bot.
CREATE UNIQUE INDEX bot_conversations_user_participant_idx ON conversations.conversations (tenant_id, contact_id, channel, participant_identifier, agent_id)
    WHERE status IN ('active', 'paused');
CREATE UNIQUE INDEX bot_conversations_uuid_idx ON conversations.conversations (conversation_uuid);
CREATE INDEX bot_conversations_webhook_id_idx ON conversations.conversations (tenant_id, webhook_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX bot_conversations_participant_idx ON conversations.conversations (tenant_id, participant_identifier);
CREATE INDEX idx_conversations_user ON conversations.conversations (tenant_id, contact_id);
CREATE INDEX idx_conversations_owner ON conversations.conversations (tenant_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idx_conversations_agent ON conversations.conversations (tenant_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX idx_conversations_assigned ON conversations.conversations (assigned_user_id) WHERE assigned_user_id IS NOT NULL;
CREATE INDEX idx_conversations_phone ON conversations.conversations (tenant_id, phone_number) WHERE phone_number IS NOT NULL;
CREATE INDEX idx_conversations_status ON conversations.conversations (tenant_id, status, updated_at DESC);
CREATE INDEX idx_conversations_updated ON conversations.conversations (tenant_id, updated_at DESC, id DESC);
SELECT kernel.protect('conversations.conversations');

-- A private row is its user's alone; the platform at work (intake, turns) serves every row of the tenant.
CREATE POLICY user_isolation_policy ON conversations.conversations AS RESTRICTIVE TO agentplatform_app
    USING (shared OR user_id = kernel.current_user_id() OR kernel.is_system());

-- What belongs to a conversation is seen with it. A function, because a subquery in the policy would be hashed: all conversations
-- of the tenant would be read to show twenty messages of one.
CREATE FUNCTION conversations.is_visible(p_tenant_id uuid, p_conversation_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM conversations.conversations c WHERE c.tenant_id = p_tenant_id AND c.id = p_conversation_id);
$$;

-- Published for Schedules: a conversation counts the tasks it gave rise to.
CREATE FUNCTION conversations.count_task(p_tenant_id uuid, p_conversation_id uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations.conversations SET tasks_created = tasks_created + 1 WHERE tenant_id = p_tenant_id AND id = p_conversation_id;
$$;
