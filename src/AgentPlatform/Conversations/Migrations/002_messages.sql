CREATE TABLE conversations.messages (
    tenant_id          uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid         NOT NULL,
    conversation_id    uuid         NOT NULL,
    contact_id         uuid,
    session_id         uuid,
    turn_number        integer,
    role               varchar(50)  NOT NULL,
    direction          varchar(20)  NOT NULL,
    content            text         NOT NULL,
    attachments        jsonb        NOT NULL DEFAULT '[]',
    status             varchar(50),
    twilio_message_sid varchar(100),
    inbound_message_id uuid,
    author_user_id     uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    error_code         varchar(50),
    error_message      text,
    created_at         timestamptz  NOT NULL DEFAULT now(),
    sent_at            timestamptz,
    delivered_at       timestamptz,
    failed_at          timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT message_conversation FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id),
    CONSTRAINT message_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT message_role CHECK (role IN ('user', 'bouncer', 'concierge', 'innovator', 'agent', 'human', 'system')),
    CONSTRAINT message_direction CHECK (direction IN ('inbound', 'outbound')),
    CONSTRAINT message_status CHECK (status IN ('queued', 'pending', 'queued_for_send', 'sent', 'delivered', 'failed')),
    CONSTRAINT message_inbound_has_no_status CHECK (direction = 'outbound' OR status IS NULL),
    CONSTRAINT message_turn_from_one CHECK (turn_number >= 1)
) PARTITION BY RANGE (id);

CREATE INDEX idx_messages_conversation ON conversations.messages (tenant_id, conversation_id, created_at DESC, id DESC);
CREATE INDEX idx_messages_user ON conversations.messages (tenant_id, contact_id, created_at DESC);
CREATE INDEX idx_messages_twilio ON conversations.messages (tenant_id, twilio_message_sid) WHERE twilio_message_sid IS NOT NULL;
CREATE INDEX idx_messages_status ON conversations.messages (tenant_id, status) WHERE status IN ('queued', 'pending', 'queued_for_send', 'failed');
CREATE INDEX idx_messages_session ON conversations.messages (tenant_id, session_id, turn_number) WHERE session_id IS NOT NULL;
CREATE INDEX idx_messages_author ON conversations.messages (author_user_id) WHERE author_user_id IS NOT NULL;
CREATE INDEX idx_messages_attachments ON conversations.messages USING gin (attachments jsonb_path_ops) WHERE attachments <> '[]';
SELECT kernel.protect('conversations.messages');

CREATE POLICY user_isolation_policy ON conversations.messages AS RESTRICTIVE TO agentplatform_app
    USING (kernel.is_system() OR conversations.is_visible(tenant_id, conversation_id));

-- A UUIDv7 begins with its Unix milliseconds, so the first instant of a month is also the first id of it.
CREATE FUNCTION conversations.first_message_id(p_from timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rpad(lpad(to_hex((extract(epoch FROM p_from) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

-- Runs as its owner: only the owner may add partitions, and the app's role asks for them.
CREATE FUNCTION conversations.create_message_partitions(p_from date, p_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
DECLARE
    month date;
    name text;
    made integer := 0;
BEGIN
    FOR i IN 0 .. p_months LOOP
        month := (date_trunc('month', p_from) + make_interval(months => i))::date;
        name := format('messages_y%sm%s', to_char(month, 'YYYY'), to_char(month, 'MM'));
        CONTINUE WHEN to_regclass('conversations.' || name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE conversations.%I PARTITION OF conversations.messages FOR VALUES FROM (%L) TO (%L)', name,
                conversations.first_message_id(month), conversations.first_message_id((month + interval '1 month')::date));
            PERFORM kernel.protect(format('conversations.%I', name)::regclass);
            made := made + 1;
        EXCEPTION
            WHEN check_violation THEN NULL;   -- the default partition already holds rows of that month, and keeps it
            WHEN duplicate_table THEN NULL;   -- another host was faster
        END;
    END LOOP;
    RETURN made;
END $$;

REVOKE EXECUTE ON FUNCTION conversations.create_message_partitions(date, integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA conversations TO agentplatform_worker;
GRANT EXECUTE ON FUNCTION conversations.create_message_partitions(date, integer) TO agentplatform_worker;

-- No clock error and no missed maintenance may ever refuse a message.
CREATE TABLE conversations.messages_default PARTITION OF conversations.messages DEFAULT;
SELECT kernel.protect('conversations.messages_default');
SELECT conversations.create_message_partitions((now() - interval '1 month')::date, 4);

-- The payload is ids only: NOTIFY refuses more than 8000 bytes, and a message may be longer.
CREATE FUNCTION conversations.notify_send_sms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.status := 'queued_for_send';
    PERFORM pg_notify('send_sms', jsonb_build_object('tenant_id', NEW.tenant_id, 'id', NEW.id, 'conversation_id', NEW.conversation_id)::text);
    RETURN NEW;
END $$;

CREATE TRIGGER on_message_send BEFORE INSERT ON conversations.messages
    FOR EACH ROW WHEN (NEW.direction = 'outbound' AND NEW.status = 'pending') EXECUTE FUNCTION conversations.notify_send_sms();

-- The row lock makes two messages at once count as two, and exactly one of them the fiftieth.
CREATE FUNCTION conversations.check_conversation_summary() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_due boolean;
BEGIN
    UPDATE conversations.conversations
    SET messages_since_summary = (messages_since_summary + 1) % 50,
        message_count = message_count + 1,
        last_message_at = greatest(last_message_at, NEW.created_at)
    WHERE tenant_id = NEW.tenant_id AND id = NEW.conversation_id
    RETURNING messages_since_summary = 0 INTO is_due;
    IF is_due THEN
        PERFORM schedules.create_summary_task(NEW.tenant_id, NEW.conversation_id);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER on_message_count_check AFTER INSERT ON conversations.messages
    FOR EACH ROW EXECUTE FUNCTION conversations.check_conversation_summary();

-- One way only: a late "sent" never takes back a "delivered".
CREATE FUNCTION conversations.delivery_rank(p_status text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE p_status WHEN 'queued' THEN 0 WHEN 'pending' THEN 1 WHEN 'queued_for_send' THEN 2 WHEN 'sent' THEN 3 WHEN 'failed' THEN 4 WHEN 'delivered' THEN 5 ELSE -1 END;
