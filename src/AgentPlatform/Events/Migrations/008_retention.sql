-- The archive is not for ever. However short a time is set, the job sees nothing that has not been there for thirty days.
CREATE POLICY retention ON events.archived_events TO agentplatform_worker USING (archived_at < now() - interval '30 days');
GRANT SELECT, DELETE ON events.archived_events TO agentplatform_worker;
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON events.archived_events FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND CURRENT_USER NOT IN ('agentplatform_eraser', 'agentplatform_worker')) EXECUTE FUNCTION kernel.refuse_change();
CREATE INDEX idx_archived_events_age ON events.archived_events USING brin (archived_at);
