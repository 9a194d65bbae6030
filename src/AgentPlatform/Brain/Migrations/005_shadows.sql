-- Shadows: another way for an agent to decide, tried beside the live one. Nothing of what a shadow decides happens.
GRANT USAGE ON SCHEMA brain TO agentplatform_worker;

CREATE TABLE brain.shadows (
    tenant_id   uuid          NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid          NOT NULL,
    agent_id    uuid          NOT NULL,
    name        varchar(100)  NOT NULL CONSTRAINT shadow_name_is_given CHECK (length(btrim(name)) >= 1),
    -- What it has otherwise than the agent.
    candidate   jsonb         NOT NULL CONSTRAINT shadow_candidate_is_an_object CHECK (jsonb_typeof(candidate) = 'object'),
    sample_rate numeric(5, 4) NOT NULL CONSTRAINT shadow_sample_rate_is_a_share CHECK (sample_rate > 0 AND sample_rate <= 1),
    status      text          NOT NULL DEFAULT 'running' CONSTRAINT shadow_status_is_known CHECK (status IN ('running', 'stopped')),
    ends_at     timestamptz,
    stopped_at  timestamptz,
    created_at  timestamptz   NOT NULL DEFAULT now(),
    updated_at  timestamptz   NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT shadow_stop_is_dated CHECK ((stopped_at IS NOT NULL) = (status = 'stopped')),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);
-- The first turn after a change reads the agent's running ones, operators all.
CREATE INDEX idx_shadows_agent ON brain.shadows (tenant_id, agent_id, id DESC);
SELECT kernel.protect('brain.shadows');

CREATE TABLE brain.shadow_turns (
    tenant_id       uuid           NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid           NOT NULL,
    shadow_id       uuid           NOT NULL,
    conversation_id uuid           NOT NULL,
    turn_number     integer        NOT NULL CONSTRAINT shadow_turn_counts_from_one CHECK (turn_number >= 1),
    -- The first of the messages that the turn answered.
    message_id      uuid           NOT NULL,
    status          text           NOT NULL DEFAULT 'waiting' CONSTRAINT shadow_turn_status_is_known CHECK (status IN ('waiting', 'same', 'different', 'skipped')),
    -- Why it was not decided.
    reason          text           CONSTRAINT shadow_turn_reason_is_known CHECK (reason IN ('agent_changed', 'stopped', 'over_budget', 'model_unavailable', 'failed')),
    -- What the live turn looked at; gone as soon as the shadow has looked at it.
    input           jsonb,
    live            jsonb          NOT NULL,
    candidate       jsonb,
    differences     text[]         NOT NULL DEFAULT '{}'
        CONSTRAINT shadow_differences_are_known CHECK (differences <@ ARRAY['intents', 'actions', 'reply', 'rules', 'scenario', 'handoff']),
    live_cost_usd   numeric(16, 6) NOT NULL,
    cost_usd        numeric(16, 6) NOT NULL DEFAULT 0,
    calls           integer        NOT NULL DEFAULT 0,
    latency_ms      integer,
    created_at      timestamptz    NOT NULL,
    decided_at      timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT shadow_turn_is_taken_once UNIQUE (tenant_id, shadow_id, message_id),
    CONSTRAINT shadow_turn_waits_with_its_input CHECK ((input IS NOT NULL) = (status = 'waiting')),
    CONSTRAINT shadow_turn_is_decided_whole CHECK ((candidate IS NOT NULL) = (status IN ('same', 'different')) AND (latency_ms IS NOT NULL) = (candidate IS NOT NULL)),
    CONSTRAINT shadow_turn_differs_in_something CHECK ((cardinality(differences) > 0) = (status = 'different')),
    CONSTRAINT skipped_shadow_turn_says_why CHECK ((reason IS NOT NULL) = (status = 'skipped')),
    CONSTRAINT shadow_turn_end_is_dated CHECK ((decided_at IS NULL) = (status = 'waiting')),
    FOREIGN KEY (tenant_id, shadow_id) REFERENCES brain.shadows (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);
-- The turns of a shadow, newest first.
CREATE INDEX idx_shadow_turns_shadow ON brain.shadow_turns (tenant_id, shadow_id, id DESC);
-- What goes with a conversation.
CREATE INDEX idx_shadow_turns_conversation ON brain.shadow_turns (tenant_id, conversation_id);
CREATE INDEX idx_shadow_turns_created ON brain.shadow_turns (created_at);
SELECT kernel.protect('brain.shadow_turns');

-- What people wrote and were told is kept for a month, as it is in the journal of models.
CREATE POLICY retention ON brain.shadow_turns TO agentplatform_worker USING (created_at < now() - interval '30 days');
GRANT SELECT, DELETE ON brain.shadow_turns TO agentplatform_worker;
