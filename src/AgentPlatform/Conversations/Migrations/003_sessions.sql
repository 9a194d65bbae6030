CREATE TABLE conversations.sessions (
    tenant_id               uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                      uuid         NOT NULL,
    conversation_id         uuid         NOT NULL,
    agent_id                uuid         NOT NULL,
    contact_id              uuid         NOT NULL,
    channel                 varchar(50)  NOT NULL,
    user_channel_id         varchar(255) NOT NULL,
    status                  varchar(20)  NOT NULL DEFAULT 'ACTIVE',
    state                   jsonb        NOT NULL DEFAULT '{}',
    variables               jsonb        NOT NULL DEFAULT '{}',
    active_scenario_id      uuid,
    active_scenario_version integer,
    current_step_id         uuid,
    step_history            jsonb        NOT NULL DEFAULT '[]',
    pending_migration       jsonb,
    last_turn_number        integer      NOT NULL DEFAULT 0,
    version                 integer      NOT NULL DEFAULT 1,
    hot_until               timestamptz  NOT NULL,
    persist_until           timestamptz  NOT NULL,
    created_at              timestamptz  NOT NULL DEFAULT now(),
    updated_at              timestamptz  NOT NULL DEFAULT now(),
    last_activity_at        timestamptz  NOT NULL DEFAULT now(),
    ended_at                timestamptz,
    end_reason              varchar(100),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT session_conversation FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id),
    CONSTRAINT session_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT session_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT session_status CHECK (status IN ('ACTIVE', 'ENDED')),
    CONSTRAINT session_ended_when CHECK ((status = 'ENDED') = (ended_at IS NOT NULL)),
    CONSTRAINT session_scenario_is_pinned CHECK ((active_scenario_id IS NULL) = (active_scenario_version IS NULL)),
    CONSTRAINT session_hot_is_within_persist CHECK (hot_until <= persist_until),
    CONSTRAINT session_history_is_a_list CHECK (jsonb_typeof(step_history) = 'array')
) WITH (fillfactor = 70);

-- The seed's Redis keys session:index:channel, :agent and :customer.
CREATE UNIQUE INDEX idx_sessions_conversation ON conversations.sessions (tenant_id, conversation_id) WHERE status = 'ACTIVE';
CREATE UNIQUE INDEX idx_sessions_channel ON conversations.sessions (tenant_id, channel, user_channel_id, agent_id) WHERE status = 'ACTIVE';
CREATE INDEX idx_sessions_agent ON conversations.sessions (tenant_id, agent_id, last_activity_at DESC) WHERE status = 'ACTIVE';
CREATE INDEX idx_sessions_customer ON conversations.sessions (tenant_id, contact_id, last_activity_at DESC) WHERE status = 'ACTIVE';
SELECT kernel.protect('conversations.sessions');
CREATE POLICY user_isolation_policy ON conversations.sessions AS RESTRICTIVE TO agentplatform_app
    USING (kernel.is_system() OR conversations.is_visible(tenant_id, conversation_id));

-- Published for Contacts: who takes over a released number must find neither the old talk nor what was going on in it.
CREATE FUNCTION conversations.close_for_number(p_tenant_id uuid, p_contact_id uuid, p_number text) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations.conversations SET status = 'closed', changed_at = clock_timestamp()
    WHERE tenant_id = p_tenant_id AND contact_id = p_contact_id AND phone_number = p_number AND status IN ('active', 'paused');
    UPDATE conversations.sessions SET status = 'ENDED', ended_at = clock_timestamp(), end_reason = 'phone_change'
    WHERE tenant_id = p_tenant_id AND contact_id = p_contact_id AND channel = 'sms' AND user_channel_id = p_number AND status = 'ACTIVE';
$$;

-- No foreign key to sessions: what was said and decided outlives the session.
CREATE TABLE conversations.turn_records (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    session_id         uuid        NOT NULL,
    conversation_id    uuid        NOT NULL,
    turn_number        integer     NOT NULL,
    user_message       text        NOT NULL,
    assistant_response text,
    context_extracted  jsonb,
    rules_matched      jsonb       NOT NULL DEFAULT '[]',
    scenario_state     jsonb,
    tools_executed     jsonb       NOT NULL DEFAULT '[]',
    token_usage        jsonb,
    latency_ms         integer,
    created_at         timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT turn_conversation FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id),
    CONSTRAINT turn_number_once UNIQUE (tenant_id, session_id, turn_number),
    CONSTRAINT turn_number_from_one CHECK (turn_number >= 1)
);
CREATE INDEX idx_turn_records_conversation ON conversations.turn_records (tenant_id, conversation_id, id DESC);
CREATE INDEX idx_turn_records_created ON conversations.turn_records (tenant_id, created_at DESC);
SELECT kernel.protect('conversations.turn_records');
SELECT kernel.append_only('conversations.turn_records');
CREATE POLICY user_isolation_policy ON conversations.turn_records AS RESTRICTIVE TO agentplatform_app
    USING (kernel.is_system() OR conversations.is_visible(tenant_id, conversation_id));

-- Numbers come from the session's row, so they are given once, in order, and a rolled back turn gives its number back.
CREATE FUNCTION conversations.take_turn_number(p_tenant_id uuid, p_session_id uuid, p_number integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    UPDATE conversations.sessions SET last_turn_number = p_number
    WHERE tenant_id = p_tenant_id AND id = p_session_id AND last_turn_number = p_number - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'turn % is not the next one of session %', p_number, p_session_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN p_number;
END $$;

CREATE TABLE conversations.audit_events (
    tenant_id  uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id         uuid        NOT NULL,
    session_id uuid,
    turn_id    uuid,
    event_type varchar(50) NOT NULL,
    event_data jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT audit_turn FOREIGN KEY (tenant_id, turn_id) REFERENCES conversations.turn_records (tenant_id, id),
    CONSTRAINT audit_type_is_named CHECK (event_type <> '')
);
CREATE INDEX idx_audit_events_session ON conversations.audit_events (tenant_id, session_id, id DESC) WHERE session_id IS NOT NULL;
CREATE INDEX idx_audit_events_type ON conversations.audit_events (tenant_id, event_type, id DESC);
CREATE INDEX idx_audit_events_created ON conversations.audit_events (tenant_id, created_at DESC);
SELECT kernel.protect('conversations.audit_events');
SELECT kernel.append_only('conversations.audit_events');
