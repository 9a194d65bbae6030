ALTER TABLE work.items
    ADD COLUMN start_by timestamptz,
    ADD COLUMN merge_key text,
    ADD COLUMN concurrency_key text;

-- What has not started by its deadline. A fence of 0 says that nobody ever claimed the item.
CREATE INDEX items_start_by ON work.items (start_by) WHERE start_by IS NOT NULL AND state = 'ready' AND fence = 0;
-- One item of a merge key waits for its first start. One that was ever claimed merges with nothing: its retry must not collide.
CREATE UNIQUE INDEX items_merge ON work.items (tenant_id, kind, merge_key) WHERE merge_key IS NOT NULL AND state = 'ready' AND fence = 0;
-- Is the queue of a kind full?
CREATE INDEX items_waiting ON work.items (tenant_id, kind) WHERE state = 'ready';

-- How much of a kind, of a concurrency key, or of both together may run at a time; how much of a kind may wait.
CREATE TABLE work.limits (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    kind            text,
    concurrency_key text,
    max_running     integer,
    max_waiting     integer,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT limits_scope UNIQUE NULLS NOT DISTINCT (tenant_id, kind, concurrency_key),
    CONSTRAINT limits_say_something CHECK (max_running > 0 AND max_running IS NOT NULL OR max_waiting > 0 AND max_waiting IS NOT NULL),
    CONSTRAINT limits_waiting_is_of_a_kind CHECK (max_waiting IS NULL OR kind IS NOT NULL AND concurrency_key IS NULL)
);
SELECT kernel.protect('work.limits');
CREATE POLICY worker_locks ON work.limits FOR ALL TO agentplatform_worker USING (current_user = 'agentplatform_worker');
-- UPDATE is what locking a row asks for; the worker changes none.
GRANT SELECT, UPDATE ON work.limits TO agentplatform_worker;
