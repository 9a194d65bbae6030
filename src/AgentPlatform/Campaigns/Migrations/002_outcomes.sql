-- What becomes of the messages of moves is heard where it is written, in the same transaction. Messages of other origin cost a look at a key or an index.

-- Each change asks for its own look at the metrics, so none that commits late is missed; one look does for all that wait behind it.
CREATE FUNCTION campaigns.ask_for_metrics(p_tenant_id uuid, p_move_id uuid) RETURNS void LANGUAGE sql AS $$
    SELECT work.enqueue(p_tenant_id, 'campaigns.metrics', gen_random_uuid()::text, jsonb_build_object('campaign_id', m.campaign_id),
                        'campaign-metrics:' || m.campaign_id, 60::smallint, now() + interval '1 second', 10)
    FROM campaigns.moves m WHERE m.tenant_id = p_tenant_id AND m.id = p_move_id AND m.campaign_id IS NOT NULL
$$;

-- One way: a delivery is not taken back, and only a message whose failure was an error of ours can be sent after it.
CREATE FUNCTION campaigns.hear_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    became constant text := CASE NEW.status WHEN 'approved' THEN 'queued' WHEN 'sent' THEN 'sent' ELSE 'failed' END;
    move uuid;
BEGIN
    UPDATE campaigns.move_recipients r
    SET status = CASE WHEN r.status = 'delivered' THEN r.status ELSE became END,
        reason = CASE WHEN became = 'failed' AND r.status <> 'delivered' THEN coalesce(NEW.failure, NEW.superseded_reason, NEW.status) END,
        message_id = coalesce(r.message_id, messaging.line_of(NEW.tenant_id, NEW.id)), sent_at = coalesce(r.sent_at, NEW.sent_at)
    WHERE r.tenant_id = NEW.tenant_id AND r.queue_id = NEW.id
    RETURNING r.move_id INTO move;
    IF FOUND AND became <> 'queued' THEN
        PERFORM campaigns.ask_for_metrics(NEW.tenant_id, move);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_campaigns_of_message AFTER UPDATE OF status ON messaging.message_queue FOR EACH ROW
    WHEN (NEW.idempotency_key LIKE 'move:%' AND NEW.status IN ('approved', 'sent', 'failed', 'cancelled', 'superseded') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION campaigns.hear_of_message();

CREATE FUNCTION campaigns.hear_of_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    move uuid;
BEGIN
    UPDATE campaigns.move_recipients r
    SET status = NEW.status, reason = CASE WHEN NEW.status = 'failed' THEN coalesce(NEW.error_code, NEW.status) END
    WHERE r.tenant_id = NEW.tenant_id AND r.message_id = NEW.id
    RETURNING r.move_id INTO move;
    IF FOUND THEN
        PERFORM campaigns.ask_for_metrics(NEW.tenant_id, move);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_campaigns_of_delivery AFTER UPDATE OF status ON conversations.messages FOR EACH ROW
    WHEN (NEW.direction = 'outbound' AND NEW.status IN ('delivered', 'failed') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION campaigns.hear_of_delivery();

-- An incoming message answers the latest move that was sent into its conversation, for thirty days.
CREATE FUNCTION campaigns.hear_of_reply() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    move uuid;
BEGIN
    SELECT r.move_id INTO move FROM campaigns.move_recipients r
    WHERE r.tenant_id = NEW.tenant_id AND r.conversation_id = NEW.conversation_id AND r.sent_at > NEW.created_at - interval '30 days' AND r.replied_at IS NULL
    ORDER BY r.sent_at DESC LIMIT 1;
    IF FOUND THEN
        UPDATE campaigns.move_recipients SET replied_at = NEW.created_at
        WHERE tenant_id = NEW.tenant_id AND move_id = move AND conversation_id = NEW.conversation_id AND replied_at IS NULL;
        PERFORM campaigns.ask_for_metrics(NEW.tenant_id, move);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_campaigns_of_reply AFTER INSERT ON conversations.messages FOR EACH ROW
    WHEN (NEW.direction = 'inbound') EXECUTE FUNCTION campaigns.hear_of_reply();

CREATE FUNCTION campaigns.hear_of_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    move uuid;
BEGIN
    FOR move IN
        UPDATE campaigns.move_recipients r SET opted_out_at = NEW.recorded_at
        WHERE r.tenant_id = NEW.tenant_id AND r.contact_id = NEW.profile_id AND r.channel = NEW.channel AND r.opted_out_at IS NULL
          AND r.sent_at > NEW.recorded_at - interval '30 days'
        RETURNING r.move_id
    LOOP
        PERFORM campaigns.ask_for_metrics(NEW.tenant_id, move);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_campaigns_of_opt_out AFTER INSERT ON contacts.channel_consents FOR EACH ROW
    WHEN (NEW.opted_out) EXECUTE FUNCTION campaigns.hear_of_opt_out();
