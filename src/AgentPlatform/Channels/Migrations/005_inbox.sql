-- Messages taken down while callers crowd: one row a message, deleted by the transaction that puts the message in its place. It has as few
-- indexes as it can, and no key to the channel, which would cost more than the row; a trigger does what that would when a channel goes.
CREATE TABLE channels.inbox (
    tenant_id           uuid        NOT NULL,
    webhook_id          uuid        NOT NULL,
    external_message_id text        NOT NULL COLLATE "C",
    id                  uuid        NOT NULL,
    sender_identifier   text        NOT NULL,
    message             jsonb       NOT NULL,
    request             jsonb       NOT NULL,
    attempts            integer     NOT NULL DEFAULT 0,
    last_error          text,
    retry_at            timestamptz,
    trace_parent        text,
    received_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, webhook_id, external_message_id)
);
-- By nothing but the id: led by the tenant, a plan made while the inbox was empty would find a single message by it, reading all that wait.
CREATE INDEX inbox_in_order ON channels.inbox (id);
SELECT kernel.protect('channels.inbox');

CREATE FUNCTION channels.forget_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM channels.inbox WHERE tenant_id = OLD.tenant_id AND webhook_id = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_inbox AFTER DELETE ON channels.user_webhooks FOR EACH ROW EXECUTE FUNCTION channels.forget_inbox();
