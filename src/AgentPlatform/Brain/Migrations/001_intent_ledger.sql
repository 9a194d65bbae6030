-- Every intent that was ever understood, and what became of it.

GRANT USAGE ON SCHEMA brain TO agentplatform_app;

CREATE TABLE brain.intent_ledger (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    intent_id text NOT NULL UNIQUE,
    session_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    conversation_id uuid NOT NULL,

    intent_type text NOT NULL CONSTRAINT intent_ledger_type_length CHECK (char_length(intent_type) BETWEEN 1 AND 50),
    canonical_intent text,
    match_type text CONSTRAINT intent_ledger_match_type_known CHECK (match_type IN ('exact', 'synonym', 'fuzzy', 'not_found')),
    confidence numeric(3, 2) NOT NULL CONSTRAINT intent_ledger_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    turn_number int NOT NULL CONSTRAINT intent_ledger_turn_positive CHECK (turn_number >= 1),
    sequence_order int NOT NULL DEFAULT 1 CONSTRAINT intent_ledger_sequence_positive CHECK (sequence_order >= 1),
    reasoning text,
    entities jsonb NOT NULL DEFAULT '{}',

    status text NOT NULL DEFAULT 'new' CONSTRAINT intent_ledger_status_known
        CHECK (status IN ('new', 'processing', 'queued', 'executing', 'completed', 'failed', 'blocked', 'action_not_found', 'cancelled')),
    blocked_reason text,
    triggered_actions jsonb NOT NULL DEFAULT '[]',
    response_type text,
    response_text text,
    resolution text,
    error text,

    "timestamp" timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT intent_ledger_once_per_place UNIQUE (tenant_id, session_id, turn_number, sequence_order),
    CONSTRAINT intent_ledger_blocked_says_why CHECK ((status = 'blocked') = (blocked_reason IS NOT NULL)),
    FOREIGN KEY (tenant_id, session_id) REFERENCES conversations.sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX idx_intent_ledger_session_id ON brain.intent_ledger (session_id, id DESC);
CREATE INDEX idx_intent_ledger_user_id ON brain.intent_ledger (contact_id, id DESC);
CREATE INDEX idx_intent_ledger_instance_id ON brain.intent_ledger (agent_id);
CREATE INDEX idx_intent_ledger_conversation ON brain.intent_ledger (conversation_id, id DESC);
CREATE INDEX idx_intent_ledger_status ON brain.intent_ledger (tenant_id, status, id DESC);
CREATE INDEX idx_intent_ledger_timestamp ON brain.intent_ledger ("timestamp");
CREATE INDEX idx_intent_ledger_intent_type ON brain.intent_ledger (tenant_id, intent_type);
CREATE INDEX idx_intent_ledger_match_type ON brain.intent_ledger (tenant_id, match_type, "timestamp") WHERE match_type IS NOT NULL;

SELECT kernel.protect('brain.intent_ledger');

CREATE FUNCTION brain.intent_may_go(was text, becomes text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE was
        WHEN becomes THEN true
        WHEN 'new' THEN becomes IN ('processing', 'blocked', 'action_not_found', 'cancelled')
        WHEN 'processing' THEN becomes IN ('queued', 'completed', 'failed', 'blocked', 'action_not_found', 'cancelled')
        WHEN 'queued' THEN becomes IN ('executing', 'failed', 'blocked', 'cancelled')
        WHEN 'executing' THEN becomes IN ('completed', 'failed', 'cancelled')
        WHEN 'blocked' THEN becomes IN ('processing', 'queued', 'failed', 'cancelled')
        ELSE false
    END;

-- The facts of an intent never change, its status only along these ways; what has ended stays ended.
CREATE FUNCTION brain.guard_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    mutable constant text[] := ARRAY['status', 'blocked_reason', 'triggered_actions', 'response_type', 'response_text', 'resolution', 'error', 'updated_at'];
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'intents are not deleted one by one' USING ERRCODE = 'restrict_violation';
    END IF;
    IF to_jsonb(NEW) - mutable IS DISTINCT FROM to_jsonb(OLD) - mutable THEN
        RAISE EXCEPTION 'the facts of intent % cannot change', OLD.intent_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT brain.intent_may_go(OLD.status, NEW.status) THEN
        RAISE EXCEPTION 'intent % cannot go from % to %', OLD.intent_id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'intent_ledger_legal_way';
    END IF;
    RETURN NEW;
END
$$;

-- A cascade from the session, contact, agent or tenant runs one trigger deeper and may delete.
CREATE TRIGGER guard_intent BEFORE UPDATE OR DELETE ON brain.intent_ledger
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION brain.guard_intent();

CREATE FUNCTION brain.begin_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> 'new' THEN
        RAISE EXCEPTION 'an intent begins as new, not as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'intent_ledger_begins_new';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER begin_intent BEFORE INSERT ON brain.intent_ledger FOR EACH ROW EXECUTE FUNCTION brain.begin_intent();
