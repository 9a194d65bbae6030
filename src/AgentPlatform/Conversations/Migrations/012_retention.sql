-- What is past its time goes. However short a time is set, row level security shows the job nothing younger than thirty days.

CREATE POLICY retention ON conversations.audit_events TO agentplatform_worker USING (created_at < now() - interval '30 days');
CREATE POLICY retention ON conversations.turn_records TO agentplatform_worker USING (created_at < now() - interval '30 days');
CREATE POLICY retention ON conversations.messages_default TO agentplatform_worker USING (id < conversations.first_message_id(now() - interval '30 days'));
CREATE POLICY retention ON conversations.sessions TO agentplatform_worker USING (persist_until < now() - interval '30 days');
GRANT SELECT, DELETE ON conversations.audit_events, conversations.turn_records, conversations.messages_default, conversations.sessions TO agentplatform_worker;
GRANT EXECUTE ON FUNCTION conversations.first_message_id(timestamptz) TO agentplatform_worker;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON conversations.turn_records FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND CURRENT_USER NOT IN ('agentplatform_eraser', 'agentplatform_worker')) EXECUTE FUNCTION kernel.refuse_change();
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON conversations.audit_events FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND CURRENT_USER NOT IN ('agentplatform_eraser', 'agentplatform_worker')) EXECUTE FUNCTION kernel.refuse_change();

CREATE INDEX idx_turn_records_age ON conversations.turn_records USING brin (created_at);
CREATE INDEX idx_audit_events_age ON conversations.audit_events USING brin (created_at);
CREATE INDEX idx_sessions_age ON conversations.sessions USING brin (created_at);
-- A turn that goes asks whether an event still names it.
CREATE INDEX idx_audit_events_turn ON conversations.audit_events (tenant_id, turn_id) WHERE turn_id IS NOT NULL;

-- Runs as its owner: only the owner may drop partitions, and the worker's role asks for it. Months go whole, and none that is younger than thirty days.
CREATE FUNCTION conversations.drop_message_partitions(p_before timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' SET lock_timeout = '5s' AS $$
DECLARE
    partition regclass;
    dropped integer := 0;
BEGIN
    FOR partition IN
        SELECT i.inhrelid::regclass FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'conversations.messages'::regclass AND c.relname ~ '^messages_y[0-9]{4}m[0-9]{2}$'
          AND to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month' <= least(p_before, now() - interval '30 days')
        ORDER BY 1
    LOOP
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE EXECUTE ON FUNCTION conversations.drop_message_partitions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION conversations.drop_message_partitions(timestamptz) TO agentplatform_worker;
