-- Whose updates the events of an aggregate are: who caused its first event, until it is handed to another. Nobody's when that was the platform.
ALTER TABLE events.aggregates ADD COLUMN user_id uuid
    DEFAULT nullif(kernel.current_user_id(), '00000000-0000-0000-0000-000000000000') REFERENCES identity.users (id) ON DELETE SET NULL;

CREATE INDEX idx_aggregates_user ON events.aggregates (user_id) WHERE user_id IS NOT NULL;
