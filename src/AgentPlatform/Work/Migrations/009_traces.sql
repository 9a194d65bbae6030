-- The W3C traceparent of whoever enqueued the item: its run belongs to the same trace, days later and in another process.
ALTER TABLE work.items ADD COLUMN trace_parent text;
