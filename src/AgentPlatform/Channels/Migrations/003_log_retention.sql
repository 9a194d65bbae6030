-- What was said over a webhook is in the conversation: the log of its deliveries is kept for a month. What still waits for another attempt stays.
CREATE POLICY retention ON channels.webhook_logs TO agentplatform_worker USING (created_at < now() - interval '30 days' AND completed_at IS NOT NULL);
GRANT SELECT, DELETE ON channels.webhook_logs TO agentplatform_worker;
