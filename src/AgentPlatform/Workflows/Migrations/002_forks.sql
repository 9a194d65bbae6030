-- Runs that failed alike, taken up again from where they failed: a few first, then the rest at a rate.
CREATE TABLE workflows.workflow_fleet_forks (
    tenant_id       uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid        NOT NULL,
    workflow        uuid        NOT NULL,
    error_signature text        NOT NULL,
    -- Null: each from the step at which it failed.
    from_step       text,
    -- Null: each in its own version.
    version         integer,
    canary          integer     NOT NULL CONSTRAINT workflow_fleet_canary_range CHECK (canary BETWEEN 0 AND 1000),
    per_minute      integer     NOT NULL CONSTRAINT workflow_fleet_rate_range CHECK (per_minute BETWEEN 1 AND 6000),
    status          text        NOT NULL CONSTRAINT workflow_fleet_status_known CHECK (status IN ('canary', 'running', 'completed', 'stopped')),
    reason          text,
    matched         integer     NOT NULL,
    created_by      uuid,
    created_at      timestamptz NOT NULL,
    released_at     timestamptz,
    finished_at     timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_fleet_end_is_dated CHECK ((status IN ('completed', 'stopped')) = (finished_at IS NOT NULL)),
    FOREIGN KEY (tenant_id, workflow) REFERENCES workflows.automation_workflows (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workflow_fleet_forks_workflow_idx ON workflows.workflow_fleet_forks (workflow, id DESC);
SELECT kernel.protect('workflows.workflow_fleet_forks');

-- Each run that the fleet has taken up, or that could not be.
CREATE TABLE workflows.workflow_fleet_members (
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    fleet     uuid NOT NULL,
    source    uuid NOT NULL,
    fork      uuid,
    refusal   text,

    PRIMARY KEY (tenant_id, fleet, source),
    CONSTRAINT workflow_fleet_member_is_forked_or_not CHECK ((fork IS NULL) <> (refusal IS NULL)),
    FOREIGN KEY (tenant_id, fleet) REFERENCES workflows.workflow_fleet_forks (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, source) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, fork) REFERENCES workflows.workflow_instances (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX workflow_fleet_members_source_idx ON workflows.workflow_fleet_members (source);
CREATE INDEX workflow_fleet_members_fork_idx ON workflows.workflow_fleet_members (fork) WHERE fork IS NOT NULL;
SELECT kernel.protect('workflows.workflow_fleet_members');
