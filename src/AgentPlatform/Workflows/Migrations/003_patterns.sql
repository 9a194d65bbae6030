-- Definitions with blanks: a pattern becomes a workflow when its variables are given.
CREATE TABLE workflows.workflow_patterns (
    tenant_id          uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    pattern_id         text        NOT NULL CONSTRAINT workflow_pattern_id_shape CHECK (pattern_id ~ '^[a-z0-9][a-z0-9_-]{0,99}$'),
    name               text        NOT NULL CONSTRAINT workflow_pattern_name_length CHECK (length(name) BETWEEN 1 AND 255),
    description        text,
    category           text,
    pattern            jsonb       NOT NULL,
    variables          jsonb       NOT NULL DEFAULT '[]',
    conditions         jsonb       NOT NULL DEFAULT '{}',
    -- The member who owns it; null when the platform made it.
    user_id            uuid,
    is_public          boolean     NOT NULL DEFAULT false,
    is_system_pattern  boolean     GENERATED ALWAYS AS (user_id IS NULL) STORED,
    usage_count        integer     NOT NULL DEFAULT 0,
    -- Of the runs of all workflows that were made of it.
    run_count          integer     NOT NULL DEFAULT 0,
    success_rate       real        NOT NULL DEFAULT 1.0 CONSTRAINT workflow_pattern_rate_range CHECK (success_rate BETWEEN 0 AND 1),
    avg_execution_time real,
    tags               text[]      NOT NULL DEFAULT '{}',
    metadata           jsonb       NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    last_used_at       timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT workflow_pattern_id_once UNIQUE (tenant_id, pattern_id)
) WITH (fillfactor = 80);

CREATE INDEX workflow_pattern_user_id_idx ON workflows.workflow_patterns (tenant_id, user_id, id DESC);
CREATE INDEX workflow_pattern_category_idx ON workflows.workflow_patterns (tenant_id, category, id DESC);
CREATE INDEX workflow_pattern_public_idx ON workflows.workflow_patterns (tenant_id, id DESC) WHERE is_public;
CREATE INDEX workflow_pattern_system_idx ON workflows.workflow_patterns (tenant_id, id DESC) WHERE is_system_pattern;
SELECT kernel.protect('workflows.workflow_patterns');

ALTER TABLE workflows.automation_workflows
    ADD COLUMN made_of uuid,
    ADD FOREIGN KEY (tenant_id, made_of) REFERENCES workflows.workflow_patterns (tenant_id, id) ON DELETE SET NULL (made_of);
CREATE INDEX automation_workflows_made_of_idx ON workflows.automation_workflows (made_of) WHERE made_of IS NOT NULL;
