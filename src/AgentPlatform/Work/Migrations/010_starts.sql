-- When the item was last claimed. With finished_at it says how long the last run took: what a simulation of other policies replays.
ALTER TABLE work.items ADD COLUMN started_at timestamptz;
