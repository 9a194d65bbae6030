-- How fast work may start: a bucket of tokens that fills at a rate up to a burst. A claim takes as many as it starts items, under the lock
-- of the limit. The tokens are a row of their own because they change with every claim, and the limit does not.
ALTER TABLE work.limits
    ADD COLUMN per_second double precision,
    ADD COLUMN burst integer,
    DROP CONSTRAINT limits_say_something,
    ADD CONSTRAINT limits_say_something CHECK (coalesce(max_running, max_waiting, per_second) IS NOT NULL),
    ADD CONSTRAINT limits_are_above_zero CHECK (max_running > 0 AND max_waiting > 0 AND per_second > 0 AND burst > 0),
    ADD CONSTRAINT limits_rate_is_whole CHECK ((per_second IS NULL) = (burst IS NULL)),
    ADD CONSTRAINT limits_tenant_id UNIQUE (tenant_id, id);

CREATE TABLE work.tokens (
    tenant_id   uuid NOT NULL,
    limit_id    uuid NOT NULL,
    tokens      double precision NOT NULL,
    refilled_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, limit_id),
    FOREIGN KEY (tenant_id, limit_id) REFERENCES work.limits (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT tokens_not_negative CHECK (tokens >= 0)
) WITH (fillfactor = 20);
SELECT kernel.protect('work.tokens');
CREATE POLICY worker_takes ON work.tokens FOR ALL TO agentplatform_worker USING (current_user = 'agentplatform_worker');
GRANT SELECT, UPDATE ON work.tokens TO agentplatform_worker;
