-- How talks that are in one version of a scenario go over to another.
CREATE TABLE agents.migration_plans (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    scenario_id        uuid        NOT NULL,
    from_version       integer     NOT NULL,
    to_version         integer     NOT NULL,
    status             varchar(20) NOT NULL DEFAULT 'DRAFT' CONSTRAINT chk_migration_status CHECK (status IN ('DRAFT', 'APPROVED', 'DEPLOYED', 'REJECTED')),
    transformation_map jsonb       NOT NULL CONSTRAINT migration_map_is_an_object CHECK (jsonb_typeof(transformation_map) = 'object'),
    anchor_policies    jsonb       NOT NULL DEFAULT '{}' CONSTRAINT migration_policies_are_an_object CHECK (jsonb_typeof(anchor_policies) = 'object'),
    scope_filter       jsonb,
    -- How many talks the deployment marked.
    sessions_marked    integer,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    approved_at        timestamptz,
    deployed_at        timestamptz,
    rejected_at        timestamptz,

    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, scenario_id) REFERENCES agents.scenarios (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT migration_leads_elsewhere CHECK (from_version <> to_version),
    CONSTRAINT migration_approval_is_dated CHECK (status NOT IN ('APPROVED', 'DEPLOYED') OR approved_at IS NOT NULL),
    CONSTRAINT migration_deployment_is_whole CHECK ((status = 'DEPLOYED') = (deployed_at IS NOT NULL) AND (status = 'DEPLOYED') = (sessions_marked IS NOT NULL)),
    CONSTRAINT migration_rejection_is_dated CHECK ((status = 'REJECTED') = (rejected_at IS NOT NULL))
);
-- The plans of a scenario.
CREATE INDEX idx_migration_plans_scenario ON agents.migration_plans (tenant_id, scenario_id, from_version, to_version);
SELECT kernel.protect('agents.migration_plans');
