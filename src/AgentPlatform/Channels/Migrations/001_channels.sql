-- Channels of an agent, what came in and went out over them, and the log of every webhook call.

GRANT USAGE ON SCHEMA channels TO agentplatform_app, agentplatform_worker;

CREATE TABLE channels.user_webhooks (
    tenant_id                    uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                           uuid        NOT NULL,
    agent_id                     uuid        NOT NULL,
    webhook_token                uuid        NOT NULL DEFAULT gen_random_uuid(),
    webhook_url                  text,
    channel_type                 text        NOT NULL,
    channel_name                 text        NOT NULL,
    channel_order                smallint    NOT NULL DEFAULT 1,
    provider_config              jsonb       NOT NULL DEFAULT '{}',
    outbound_enabled             boolean     NOT NULL DEFAULT true,
    outbound_config              jsonb       NOT NULL DEFAULT '{}',
    is_active                    boolean     NOT NULL DEFAULT true,
    is_primary                   boolean     NOT NULL DEFAULT false,
    is_verified                  boolean     NOT NULL DEFAULT false,
    verified_at                  timestamptz,
    verification_code            text,
    verification_code_expires_at timestamptz,
    verification_attempts        smallint    NOT NULL DEFAULT 0,
    token_expires_at             timestamptz,
    token_rotation_required      boolean     NOT NULL DEFAULT false,
    -- [{"sealed": "<key id>.<base64>", "hint": "…last four", "created_at": …, "expires_at": …}], newest first; several while one is being rotated.
    secret_keys                  jsonb       NOT NULL DEFAULT '[]',
    rate_limit_per_minute        integer     NOT NULL DEFAULT 30,
    rate_limit_per_hour          integer     NOT NULL DEFAULT 200,
    metadata                     jsonb       NOT NULL DEFAULT '{}',
    tags                         jsonb       NOT NULL DEFAULT '[]',
    created_at                   timestamptz NOT NULL DEFAULT now(),
    updated_at                   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT user_webhooks_agent_fk FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT user_webhooks_token_idx UNIQUE (webhook_token),
    -- Deferred, so that two channels can swap places.
    CONSTRAINT user_webhooks_order_is_free UNIQUE (tenant_id, agent_id, channel_order) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT user_webhooks_type CHECK (channel_type IN ('sms', 'email', 'custom_webhook')),
    CONSTRAINT user_webhooks_order CHECK (channel_order BETWEEN 1 AND 3),
    CONSTRAINT user_webhooks_code CHECK (length(verification_code) <= 10 AND (verification_code IS NULL OR verification_code_expires_at IS NOT NULL)),
    CONSTRAINT user_webhooks_verified CHECK (is_verified = (verified_at IS NOT NULL)),
    CONSTRAINT user_webhooks_rates CHECK (rate_limit_per_minute > 0 AND rate_limit_per_hour > 0),
    CONSTRAINT user_webhooks_json CHECK (jsonb_typeof(secret_keys) = 'array' AND jsonb_typeof(tags) = 'array' AND jsonb_typeof(provider_config) = 'object' AND jsonb_typeof(outbound_config) = 'object')
);
CREATE INDEX user_webhooks_user_id_idx ON channels.user_webhooks (tenant_id, agent_id);
CREATE INDEX user_webhooks_channel_type_idx ON channels.user_webhooks (tenant_id, channel_type);
CREATE INDEX user_webhooks_is_active_idx ON channels.user_webhooks (tenant_id, is_active);
CREATE INDEX user_webhooks_user_channel_idx ON channels.user_webhooks (tenant_id, agent_id, channel_type);
CREATE UNIQUE INDEX user_webhooks_one_primary ON channels.user_webhooks (tenant_id, agent_id) WHERE is_primary;
SELECT kernel.protect('channels.user_webhooks');

-- Tokens that were rotated away: they still serve until valid_until, and are told "gone" ever after.
CREATE TABLE channels.retired_tokens (
    token       uuid        NOT NULL PRIMARY KEY,
    tenant_id   uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    webhook_id  uuid        NOT NULL,
    valid_until timestamptz NOT NULL,
    retired_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX retired_tokens_of_webhook ON channels.retired_tokens (tenant_id, webhook_id);
SELECT kernel.protect('channels.retired_tokens');
CREATE POLICY bearer ON channels.retired_tokens FOR SELECT TO agentplatform_app USING (token::text = kernel.current_bearer());

-- Who presents a token sees the channel it belongs, or belonged, to: and nothing else.
CREATE POLICY bearer ON channels.user_webhooks FOR SELECT TO agentplatform_app USING (
    webhook_token::text = kernel.current_bearer()
    OR EXISTS (SELECT FROM channels.retired_tokens r
               WHERE r.tenant_id = user_webhooks.tenant_id AND r.webhook_id = user_webhooks.id AND r.token::text = kernel.current_bearer()));

-- Sixteen rows a channel, so that concurrent messages do not queue for one counter.
CREATE TABLE channels.webhook_traffic (
    tenant_id               uuid     NOT NULL,
    webhook_id              uuid     NOT NULL,
    slot                    smallint NOT NULL,
    total_messages_received bigint   NOT NULL DEFAULT 0,
    total_messages_sent     bigint   NOT NULL DEFAULT 0,
    last_message_at         timestamptz,
    PRIMARY KEY (tenant_id, webhook_id, slot),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE
) WITH (fillfactor = 50);
SELECT kernel.protect('channels.webhook_traffic');

-- A sliding window over the current and the last minute and hour of each channel, shared by all hosts.
CREATE TABLE channels.webhook_rates (
    tenant_id     uuid        NOT NULL,
    webhook_id    uuid        NOT NULL,
    minute_start  timestamptz NOT NULL,
    minute_count  integer     NOT NULL,
    minute_before integer     NOT NULL DEFAULT 0,
    hour_start    timestamptz NOT NULL,
    hour_count    integer     NOT NULL,
    hour_before   integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, webhook_id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE
) WITH (fillfactor = 50);
SELECT kernel.protect('channels.webhook_rates');

-- What a window weighs at a moment that lies p_share (0 to 1) into the bucket beginning at p_bucket.
CREATE FUNCTION channels.window_load(p_start timestamptz, p_count integer, p_before integer, p_bucket timestamptz, p_length interval, p_share double precision)
    RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN p_start >= p_bucket THEN p_count + p_before * (1 - p_share)
                WHEN p_start = p_bucket - p_length THEN p_count * (1 - p_share)
                ELSE 0 END;

CREATE TABLE channels.inbound_messages (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    webhook_id          uuid        NOT NULL,
    agent_id            uuid        NOT NULL,
    contact_id          uuid,
    external_message_id text,
    sender_identifier   text        NOT NULL,
    sender_name         text,
    message_type        text        NOT NULL,
    content             text        NOT NULL,
    content_parsed      jsonb,
    has_attachments     boolean     NOT NULL DEFAULT false,
    attachments         jsonb       NOT NULL DEFAULT '[]',
    processing_status   text        NOT NULL DEFAULT 'received',
    processing_error    text,
    task_id             uuid,
    conversation_id     uuid,
    is_part_of_thread   boolean     NOT NULL DEFAULT false,
    parent_message_id   uuid,
    raw_payload         jsonb,
    provider_metadata   jsonb,
    received_at         timestamptz NOT NULL DEFAULT now(),
    processed_at        timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE SET NULL (contact_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE SET NULL (conversation_id),
    CONSTRAINT inbound_messages_parent_fk FOREIGN KEY (tenant_id, parent_message_id) REFERENCES channels.inbound_messages (tenant_id, id) ON DELETE SET NULL (parent_message_id),
    CONSTRAINT inbound_messages_once UNIQUE (tenant_id, webhook_id, external_message_id),
    CONSTRAINT inbound_messages_type CHECK (message_type IN ('text', 'image', 'audio', 'file', 'structured')),
    CONSTRAINT inbound_messages_status CHECK (processing_status IN ('received', 'processing', 'processed', 'failed', 'ignored')),
    CONSTRAINT inbound_messages_processed CHECK ((processed_at IS NOT NULL) = (processing_status IN ('processed', 'failed', 'ignored'))),
    CONSTRAINT inbound_messages_failed CHECK (processing_status <> 'failed' OR processing_error IS NOT NULL),
    CONSTRAINT inbound_messages_thread CHECK (parent_message_id IS NULL OR is_part_of_thread)
);
CREATE INDEX inbound_messages_webhook_id_idx ON channels.inbound_messages (tenant_id, webhook_id, id DESC);
CREATE INDEX inbound_messages_sender_idx ON channels.inbound_messages (tenant_id, sender_identifier);
CREATE INDEX inbound_messages_status_idx ON channels.inbound_messages (tenant_id, processing_status, id DESC) WHERE processing_status <> 'processed';
CREATE INDEX inbound_messages_conversation_idx ON channels.inbound_messages (tenant_id, conversation_id);
CREATE INDEX inbound_messages_contact_idx ON channels.inbound_messages (tenant_id, contact_id);
CREATE INDEX inbound_messages_parent_idx ON channels.inbound_messages (tenant_id, parent_message_id) WHERE parent_message_id IS NOT NULL;
CREATE INDEX inbound_messages_received_at_idx ON channels.inbound_messages USING brin (received_at);
SELECT kernel.protect('channels.inbound_messages');

-- The bytes of e-mail attachments; MMS media stay with the provider and are kept by address in inbound_messages.attachments.
CREATE TABLE channels.inbound_attachments (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    inbound_message_id uuid        NOT NULL,
    file_name          text        NOT NULL,
    content_type       text        NOT NULL,
    content_id         text,
    content            bytea       NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, inbound_message_id) REFERENCES channels.inbound_messages (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX inbound_attachments_of_message ON channels.inbound_attachments (tenant_id, inbound_message_id);
SELECT kernel.protect('channels.inbound_attachments');

CREATE TABLE channels.outbound_messages (
    tenant_id            uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                   uuid        NOT NULL,
    webhook_id           uuid        NOT NULL,
    agent_id             uuid        NOT NULL,
    contact_id           uuid,
    inbound_message_id   uuid,
    task_id              uuid,
    conversation_id      uuid,
    -- The line of the conversation this is the delivery of; none for verification codes and test messages.
    message_id           uuid,
    message_type         text        NOT NULL,
    subject              text,
    content              text        NOT NULL,
    recipient_identifier text        NOT NULL,
    recipient_name       text,
    segments             smallint,
    delivery_status      text        NOT NULL DEFAULT 'pending',
    delivery_error       text,
    error_code           text,
    provider             text,
    external_message_id  text,
    provider_response    jsonb,
    scheduled_for        timestamptz,
    sent_at              timestamptz,
    delivered_at         timestamptz,
    read_at              timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE SET NULL (contact_id),
    FOREIGN KEY (tenant_id, inbound_message_id) REFERENCES channels.inbound_messages (tenant_id, id) ON DELETE SET NULL (inbound_message_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE SET NULL (conversation_id),
    CONSTRAINT outbound_messages_type CHECK (message_type IN ('text', 'verification', 'test')),
    CONSTRAINT outbound_messages_status CHECK (delivery_status IN ('pending', 'sending', 'unknown', 'sent', 'delivered', 'read', 'failed', 'cancelled'))
);
CREATE INDEX outbound_messages_webhook_id_idx ON channels.outbound_messages (tenant_id, webhook_id, id DESC);
CREATE INDEX outbound_messages_task_id_idx ON channels.outbound_messages (tenant_id, task_id) WHERE task_id IS NOT NULL;
CREATE INDEX outbound_messages_conversation_id_idx ON channels.outbound_messages (tenant_id, conversation_id);
CREATE INDEX outbound_messages_contact_idx ON channels.outbound_messages (tenant_id, contact_id);
CREATE INDEX outbound_messages_inbound_idx ON channels.outbound_messages (tenant_id, inbound_message_id) WHERE inbound_message_id IS NOT NULL;
CREATE INDEX outbound_messages_delivery_status_idx ON channels.outbound_messages (tenant_id, delivery_status, id DESC);
CREATE INDEX outbound_messages_scheduled_for_idx ON channels.outbound_messages (scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE INDEX outbound_messages_pending_idx ON channels.outbound_messages (delivery_status, scheduled_for) WHERE delivery_status IN ('pending', 'sending', 'unknown');
CREATE INDEX outbound_messages_external_idx ON channels.outbound_messages (tenant_id, webhook_id, external_message_id) WHERE external_message_id IS NOT NULL;
SELECT kernel.protect('channels.outbound_messages');

-- Delivery goes one way; a confirmed delivery corrects a failure, and nothing undoes a confirmed delivery.
CREATE FUNCTION channels.delivery_rank(p_status text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_status WHEN 'pending' THEN 0 WHEN 'sending' THEN 1 WHEN 'unknown' THEN 2 WHEN 'sent' THEN 3 WHEN 'failed' THEN 4
                         WHEN 'cancelled' THEN 4 WHEN 'delivered' THEN 5 WHEN 'read' THEN 6 ELSE -1 END;

-- Where a delivery report and the settling of its send meet. A report may arrive before the send has committed the provider's id:
-- both sides upsert this row, and whoever comes second sees what the first knew.
CREATE TABLE channels.delivery_receipts (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    webhook_id          uuid        NOT NULL,
    external_message_id text        NOT NULL,
    outbound_message_id uuid,
    delivery_status     text,
    error_code          text,
    error               text,
    reports             integer     NOT NULL DEFAULT 0,
    reported_at         timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, webhook_id, external_message_id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, outbound_message_id) REFERENCES channels.outbound_messages (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT delivery_receipts_status CHECK (delivery_status IN ('sending', 'sent', 'delivered', 'read', 'failed'))
);
CREATE INDEX delivery_receipts_of_message ON channels.delivery_receipts (tenant_id, outbound_message_id);
SELECT kernel.protect('channels.delivery_receipts');

CREATE TABLE channels.webhook_logs (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    webhook_id          uuid        NOT NULL,
    direction           text        NOT NULL,
    event               text        NOT NULL,
    inbound_message_id  uuid,
    outbound_message_id uuid,
    url                 text        NOT NULL,
    method              text        NOT NULL DEFAULT 'POST',
    request_headers     jsonb,
    request_body        jsonb,
    response_status     integer,
    response_body       text,
    response_time       integer,
    status              text        NOT NULL,
    attempts            integer     NOT NULL DEFAULT 1,
    next_retry_at       timestamptz,
    error               text,
    error_code          text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    completed_at        timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_logs_direction CHECK (direction IN ('inbound', 'outbound')),
    CONSTRAINT webhook_logs_status CHECK (status IN ('pending', 'retrying', 'delivered', 'failed', 'rejected')),
    CONSTRAINT webhook_logs_retry CHECK ((next_retry_at IS NOT NULL) = (status = 'retrying')),
    CONSTRAINT webhook_logs_completed CHECK ((completed_at IS NOT NULL) = (status IN ('delivered', 'failed', 'rejected'))),
    CONSTRAINT webhook_logs_attempts CHECK (attempts > 0)
);
CREATE INDEX webhook_logs_webhook_id_idx ON channels.webhook_logs (tenant_id, webhook_id, id DESC);
CREATE INDEX webhook_logs_status_idx ON channels.webhook_logs (tenant_id, status, id DESC) WHERE status <> 'delivered';
CREATE INDEX webhook_logs_event_idx ON channels.webhook_logs (tenant_id, event, id DESC);
CREATE INDEX webhook_logs_created_at_idx ON channels.webhook_logs USING brin (created_at);
CREATE INDEX webhook_logs_next_retry_at_idx ON channels.webhook_logs (next_retry_at) WHERE next_retry_at IS NOT NULL;
CREATE INDEX webhook_logs_status_retry_idx ON channels.webhook_logs (status, next_retry_at) WHERE status = 'retrying';
-- One outgoing delivery is one row; its attempts are counted on it.
CREATE UNIQUE INDEX webhook_logs_one_a_delivery ON channels.webhook_logs (tenant_id, outbound_message_id) WHERE outbound_message_id IS NOT NULL;
SELECT kernel.protect('channels.webhook_logs');

-- A conversation outlives the channel it was held over.
ALTER TABLE conversations.conversations ADD CONSTRAINT conversation_webhook
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES channels.user_webhooks (tenant_id, id) ON DELETE SET NULL (webhook_id);
