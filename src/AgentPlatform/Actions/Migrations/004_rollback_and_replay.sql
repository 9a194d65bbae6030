-- Requests that an operator orders: the undoing of an execution, and another try of a dead letter.

ALTER TABLE actions.action_queue
    ADD COLUMN rollback_of text,
    ADD COLUMN replay_of text;

CREATE INDEX idx_action_queue_rollback_of ON actions.action_queue (tenant_id, rollback_of) WHERE rollback_of IS NOT NULL;

ALTER TABLE actions.dead_letter_queue
    ADD COLUMN replay_queue_id text,
    ADD COLUMN replayed_at timestamptz,
    ADD CONSTRAINT dead_letter_queue_replay_is_whole CHECK ((replay_queue_id IS NULL) = (replayed_at IS NULL));

-- The replay that completes finds the letters it answers.
CREATE INDEX idx_dlq_replay_queue_id ON actions.dead_letter_queue (tenant_id, replay_queue_id) WHERE replay_queue_id IS NOT NULL;
-- A bulk replay takes the open letters of one action, oldest first.
CREATE INDEX idx_dlq_open_of_action ON actions.dead_letter_queue (tenant_id, action_id, id) WHERE NOT resolved;
