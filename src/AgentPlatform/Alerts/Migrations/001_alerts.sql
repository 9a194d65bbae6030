-- Rules over how scheduled tasks run, what they raised, and how people were told of it.

GRANT USAGE ON SCHEMA alerts TO agentplatform_app, agentplatform_worker;

CREATE TABLE alerts.alert_rules (
    tenant_id             uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                    uuid         NOT NULL,
    -- Whose rule it is: notifications in the console that name nobody are theirs.
    user_id               uuid         NOT NULL,
    name                  varchar(255) NOT NULL,
    description           text,
    rule_type             varchar(50)  NOT NULL,
    target_type           varchar(50)  NOT NULL DEFAULT 'all_tasks',
    target_task_ids       uuid[]       NOT NULL DEFAULT '{}',
    target_tags           text[]       NOT NULL DEFAULT '{}',
    conditions            jsonb        NOT NULL,
    notification_channels jsonb        NOT NULL,
    cooldown_minutes      integer      NOT NULL DEFAULT 5,
    aggregation_enabled   boolean      NOT NULL DEFAULT true,
    max_alerts_per_hour   integer      NOT NULL DEFAULT 12,
    severity              varchar(20)  NOT NULL DEFAULT 'medium',
    -- 1 is told first, 10 last.
    priority              integer      NOT NULL DEFAULT 5,
    is_active             boolean      NOT NULL DEFAULT true,
    is_paused             boolean      NOT NULL DEFAULT false,
    last_alert_sent_at    timestamptz,
    alerts_this_hour      integer      NOT NULL DEFAULT 0,
    hourly_reset_at       timestamptz,
    -- Matches that were neither told nor folded into an alert.
    suppressed_count      integer      NOT NULL DEFAULT 0,
    created_by            uuid         NOT NULL,
    last_modified_by      uuid         NOT NULL,
    -- The last change by a member; alerts are none.
    changed_at            timestamptz  NOT NULL DEFAULT clock_timestamp(),
    created_at            timestamptz  NOT NULL DEFAULT now(),
    updated_at            timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_rule_type CHECK (rule_type IN ('task_failure', 'task_timeout', 'task_success', 'slow_run', 'consecutive_failures', 'failure_rate')),
    CONSTRAINT alert_rule_target CHECK (target_type IN ('all_tasks', 'specific_tasks', 'tags')),
    CONSTRAINT alert_rule_has_its_target CHECK ((target_type = 'specific_tasks') = (target_task_ids <> '{}') AND (target_type = 'tags') = (target_tags <> '{}')),
    CONSTRAINT alert_rule_severity CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT alert_rule_limits CHECK (cooldown_minutes BETWEEN 0 AND 10080 AND max_alerts_per_hour BETWEEN 1 AND 1000 AND priority BETWEEN 1 AND 10),
    CONSTRAINT alert_rule_is_told_somewhere CHECK (jsonb_array_length(notification_channels) > 0)
) WITH (fillfactor = 80);
SELECT kernel.protect('alerts.alert_rules');

CREATE TABLE alerts.alert_history (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    -- Null: what a task's own settings want told.
    rule_id         uuid,
    user_id         uuid         NOT NULL,
    -- The latest run that is told of; it and its task may be gone.
    task_id         uuid         NOT NULL,
    execution_id    uuid         NOT NULL,
    alert_type      varchar(50)  NOT NULL,
    severity        varchar(20)  NOT NULL,
    priority        integer      NOT NULL,
    title           varchar(500) NOT NULL,
    message         text         NOT NULL,
    -- {"runs": [...]}: the first hundred of those it tells of.
    details         jsonb        NOT NULL,
    match_count     integer      NOT NULL DEFAULT 1,
    channels        jsonb        NOT NULL,
    -- {"email": {"ops@acme.example": "sent"}}
    delivery_status jsonb        NOT NULL DEFAULT '{}',
    status          varchar(20)  NOT NULL DEFAULT 'pending',
    triggered_at    timestamptz  NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by uuid,
    created_at      timestamptz  NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_rule FOREIGN KEY (tenant_id, rule_id) REFERENCES alerts.alert_rules (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT alert_severity CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT alert_status CHECK (status IN ('folding', 'pending', 'sent', 'partial', 'failed')),
    CONSTRAINT alert_delivery_status_is_by_channel CHECK (jsonb_typeof(delivery_status) = 'object'),
    CONSTRAINT alert_acknowledgement_is_whole CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CONSTRAINT alert_folds_matches_of_a_rule CHECK (match_count >= 1 AND (rule_id IS NOT NULL OR (match_count = 1 AND status <> 'folding')))
);
CREATE INDEX idx_alert_history_rule ON alerts.alert_history (tenant_id, rule_id, id DESC);
-- What a rule holds back is one alert, whoever adds to it.
CREATE UNIQUE INDEX alert_folding ON alerts.alert_history (tenant_id, rule_id) WHERE status = 'folding';
-- Retention asks in every tenant.
CREATE INDEX idx_alert_history_old ON alerts.alert_history (triggered_at);
SELECT kernel.protect('alerts.alert_history');
CREATE POLICY retention ON alerts.alert_history TO agentplatform_worker USING (status <> 'folding' AND triggered_at < now() - interval '90 days');
GRANT SELECT, DELETE ON alerts.alert_history TO agentplatform_worker;

CREATE TABLE alerts.alert_delivery_queue (
    tenant_id        uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id               uuid        NOT NULL,
    alert_history_id uuid        NOT NULL,
    channel          varchar(50) NOT NULL,
    destination      text        NOT NULL,
    payload          jsonb       NOT NULL,
    status           varchar(20) NOT NULL DEFAULT 'pending',
    attempts         integer     NOT NULL DEFAULT 0,
    max_attempts     integer     NOT NULL DEFAULT 3,
    last_attempt_at  timestamptz,
    error            text,
    priority         integer     NOT NULL DEFAULT 5,
    scheduled_for    timestamptz NOT NULL,
    sent_at          timestamptz,
    -- The message of the current attempt, where it goes by Messaging's queue.
    queue_id         uuid,
    created_at       timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT alert_delivery_alert FOREIGN KEY (tenant_id, alert_history_id) REFERENCES alerts.alert_history (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT alert_delivery_channel CHECK (channel IN ('in_app', 'email', 'sms', 'webhook')),
    CONSTRAINT alert_delivery_status CHECK (status IN ('pending', 'sending', 'sent', 'failed')),
    CONSTRAINT alert_delivery_attempts CHECK (attempts BETWEEN 0 AND max_attempts),
    CONSTRAINT alert_delivery_is_sent_once_dated CHECK ((status = 'sent') = (sent_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX idx_alert_deliveries_alert ON alerts.alert_delivery_queue (tenant_id, alert_history_id);
CREATE INDEX idx_alert_deliveries_message ON alerts.alert_delivery_queue (tenant_id, queue_id) WHERE queue_id IS NOT NULL;
SELECT kernel.protect('alerts.alert_delivery_queue');

CREATE TABLE alerts.in_app_notifications (
    tenant_id        uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id               uuid         NOT NULL,
    user_id          uuid         NOT NULL,
    alert_history_id uuid,
    title            varchar(255) NOT NULL,
    message          text         NOT NULL,
    type             varchar(20)  NOT NULL DEFAULT 'info',
    priority         integer      NOT NULL DEFAULT 5,
    is_read          boolean      NOT NULL DEFAULT false,
    is_dismissed     boolean      NOT NULL DEFAULT false,
    metadata         jsonb        NOT NULL DEFAULT '{}',
    action_url       text,
    action_label     varchar(100),
    read_at          timestamptz,
    dismissed_at     timestamptz,
    expires_at       timestamptz,
    created_at       timestamptz  NOT NULL,
    updated_at       timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT notification_alert FOREIGN KEY (tenant_id, alert_history_id) REFERENCES alerts.alert_history (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT notification_type CHECK (type IN ('info', 'warning', 'error', 'success')),
    CONSTRAINT notification_read_is_dated CHECK (is_read = (read_at IS NOT NULL)),
    CONSTRAINT notification_dismissal_is_dated CHECK (is_dismissed = (dismissed_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX idx_notifications_user ON alerts.in_app_notifications (tenant_id, user_id, id DESC) WHERE NOT is_dismissed;
CREATE INDEX idx_notifications_alert ON alerts.in_app_notifications (tenant_id, alert_history_id);
CREATE INDEX idx_notifications_expired ON alerts.in_app_notifications (expires_at);
SELECT kernel.protect('alerts.in_app_notifications');
CREATE POLICY retention ON alerts.in_app_notifications TO agentplatform_worker USING (expires_at < now());
GRANT SELECT, DELETE ON alerts.in_app_notifications TO agentplatform_worker;

-- An alert is what became of its deliveries. Its row is locked before they are looked at: of two that end at once, the second sees the first.
CREATE FUNCTION alerts.sum_up_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM alerts.alert_history WHERE tenant_id = NEW.tenant_id AND id = NEW.alert_history_id FOR NO KEY UPDATE;
    UPDATE alerts.alert_history h
    SET delivery_status = d.by_channel,
        status = CASE WHEN d.under_way > 0 THEN 'pending' WHEN d.sent = 0 THEN 'failed' WHEN d.failed = 0 THEN 'sent' ELSE 'partial' END
    FROM (
        SELECT jsonb_object_agg(channel, by_destination) AS by_channel, sum(under_way) AS under_way, sum(sent) AS sent, sum(failed) AS failed
        FROM (
            SELECT channel, jsonb_object_agg(destination, status) AS by_destination, count(*) FILTER (WHERE status IN ('pending', 'sending')) AS under_way,
                   count(*) FILTER (WHERE status = 'sent') AS sent, count(*) FILTER (WHERE status = 'failed') AS failed
            FROM alerts.alert_delivery_queue WHERE tenant_id = NEW.tenant_id AND alert_history_id = NEW.alert_history_id GROUP BY channel
        ) AS channels
    ) AS d
    WHERE h.tenant_id = NEW.tenant_id AND h.id = NEW.alert_history_id;
    RETURN NULL;
END $$;
CREATE TRIGGER on_delivery AFTER INSERT OR UPDATE OF status ON alerts.alert_delivery_queue FOR EACH ROW EXECUTE FUNCTION alerts.sum_up_deliveries();

-- How an attempt ended: sent (no error), to be tried again after one, two, four … minutes, or given up. The next attempt is work of its own.
CREATE FUNCTION alerts.end_attempt(p_tenant_id uuid, p_id uuid, p_error text, p_again boolean, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d alerts.alert_delivery_queue;
BEGIN
    UPDATE alerts.alert_delivery_queue
    SET status = CASE WHEN p_error IS NULL THEN 'sent' WHEN p_again AND attempts < max_attempts THEN 'pending' ELSE 'failed' END,
        error = p_error, sent_at = CASE WHEN p_error IS NULL THEN p_at END,
        scheduled_for = CASE WHEN p_again AND attempts < max_attempts THEN p_at + interval '1 minute' * (2 ^ (attempts - 1)) ELSE scheduled_for END
    WHERE tenant_id = p_tenant_id AND id = p_id AND status IN ('pending', 'sending')
    RETURNING * INTO d;
    IF d.status = 'pending' THEN
        PERFORM work.enqueue(p_tenant_id, 'alerts.deliver', p_id || ':' || d.attempts, jsonb_build_object('delivery_id', p_id), NULL, (d.priority * 10)::smallint, d.scheduled_for, 10);
    END IF;
END $$;

-- What becomes of a message is heard where it is written. It is tried again only when it surely never left: its channel could not be used, or did not answer.
CREATE FUNCTION alerts.hear_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM alerts.end_attempt(
        q.tenant_id, q.id, CASE WHEN NEW.status <> 'sent' THEN coalesce(NEW.failure, NEW.status) END,
        NEW.failure IN ('exhausted', 'no_channel', 'channel_inactive', 'channel_unverified', 'outbound_disabled', 'conversation_closed', 'conversation_gone'),
        coalesce(NEW.sent_at, now()))
    FROM alerts.alert_delivery_queue q
    WHERE q.tenant_id = NEW.tenant_id AND q.queue_id = NEW.id AND q.status = 'sending';
    RETURN NULL;
END $$;
CREATE TRIGGER tell_alerts_of_message AFTER UPDATE OF status ON messaging.message_queue FOR EACH ROW
    WHEN (NEW.idempotency_key LIKE 'alert:%' AND NEW.status IN ('sent', 'failed', 'cancelled', 'superseded') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION alerts.hear_of_message();
