-- The W3C traceparent of the send: a provider's report, hours later and at another host, goes on with the same trace.
ALTER TABLE channels.outbound_messages ADD COLUMN trace_parent text;
