-- The trace that the turn is part of, from the webhook to the provider: what a collector of traces finds it by.
ALTER TABLE conversations.turn_records ADD COLUMN trace_id text;
