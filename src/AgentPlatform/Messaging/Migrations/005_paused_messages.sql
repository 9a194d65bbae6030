-- Who has queued many messages can have them rest, and go on later.
ALTER TABLE messaging.message_queue DROP CONSTRAINT message_queue_hold_reason;
ALTER TABLE messaging.message_queue ADD CONSTRAINT message_queue_hold_reason CHECK (hold_reason IN ('scheduled', 'quiet_hours', 'daily_limit', 'hourly_limit', 'paused'));
