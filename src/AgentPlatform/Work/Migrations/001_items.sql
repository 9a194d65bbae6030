-- One narrow row drives each piece of work; what the work is about lives in its module's own table.

CREATE TABLE work.items (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    kind          text NOT NULL,
    key           text NOT NULL,
    serial_key    text,
    priority      smallint NOT NULL DEFAULT 50,
    state         text NOT NULL DEFAULT 'ready',
    run_at        timestamptz NOT NULL DEFAULT now(),
    attempts      integer NOT NULL DEFAULT 0,
    interruptions integer NOT NULL DEFAULT 0,
    max_attempts  integer NOT NULL,
    fence         bigint NOT NULL DEFAULT 0,
    owner         uuid,
    lease_until   timestamptz,
    payload       jsonb NOT NULL,
    last_error    text,
    enqueued_at   timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    CONSTRAINT items_key UNIQUE (tenant_id, kind, key),
    CONSTRAINT items_priority_range CHECK (priority BETWEEN 0 AND 100),
    CONSTRAINT items_state_known CHECK (state IN ('ready', 'running', 'done', 'cancelled', 'dead')),
    CONSTRAINT items_claim_is_whole CHECK ((state = 'running') = (owner IS NOT NULL) AND (owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT items_end_is_dated CHECK ((state IN ('done', 'cancelled', 'dead')) = (finished_at IS NOT NULL))
) WITH (fillfactor = 70);

-- The claim: due items by urgency.
CREATE INDEX items_due ON work.items (priority, run_at, id) WHERE state = 'ready';
-- The claim: leases that ran out. Renewal and hand-back: what one owner holds.
CREATE INDEX items_leased ON work.items (lease_until) WHERE state = 'running';
CREATE INDEX items_owned ON work.items (owner) WHERE state = 'running';
-- The claim: is something earlier of the same serial key unfinished?
CREATE INDEX items_serial ON work.items (tenant_id, serial_key, id) WHERE serial_key IS NOT NULL AND state IN ('ready', 'running');
-- Two claims that race past each other's snapshot still cannot run one serial key twice at a time.
CREATE UNIQUE INDEX items_serial_runs_alone ON work.items (tenant_id, serial_key) WHERE serial_key IS NOT NULL AND state = 'running';
-- An operator's list, newest first.
CREATE INDEX items_listed ON work.items (tenant_id, id DESC);
-- Retention, and the list of dead letters.
CREATE INDEX items_finished ON work.items (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX items_dead ON work.items (tenant_id, id DESC) WHERE state = 'dead';

SELECT kernel.protect('work.items');
-- Asking for the current role keeps out a login that merely inherits from the worker.
CREATE POLICY worker_claims ON work.items FOR ALL TO agentplatform_worker USING (current_user = 'agentplatform_worker');
GRANT SELECT, UPDATE, DELETE ON work.items TO agentplatform_worker;
GRANT USAGE ON SCHEMA work TO agentplatform_app, agentplatform_worker;
