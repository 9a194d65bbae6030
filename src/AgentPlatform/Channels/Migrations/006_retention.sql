-- Messages as they came in and left, with their attachments and receipts. However short a time is set, the job sees nothing younger than thirty days.
CREATE POLICY retention ON channels.inbound_messages TO agentplatform_worker USING (received_at < now() - interval '30 days' AND processed_at IS NOT NULL);
CREATE POLICY retention ON channels.outbound_messages TO agentplatform_worker USING (created_at < now() - interval '30 days' AND delivery_status IN ('sent', 'delivered', 'read', 'failed', 'cancelled'));
GRANT SELECT, DELETE ON channels.inbound_messages, channels.outbound_messages TO agentplatform_worker;
CREATE INDEX outbound_messages_age ON channels.outbound_messages USING brin (created_at);
-- The log of a message that goes.
CREATE INDEX webhook_logs_of_inbound ON channels.webhook_logs (tenant_id, inbound_message_id) WHERE inbound_message_id IS NOT NULL;
