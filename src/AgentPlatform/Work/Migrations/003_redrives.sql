-- The sort of an error: what is left when values are taken out. Dead items of one cause are found, counted and redriven by it.
CREATE FUNCTION work.error_signature(p_error text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(left(coalesce(p_error, ''), 1000), '"[^"]*"|(?<!\w)''[^'']*''(?!\w)', '?', 'g'),
                    '\y[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\y', '?', 'gi'),
                '\y(0x[0-9a-f]+|[0-9a-f]{8,})\y', '?', 'gi'),
            '\d+', '#', 'g'),
        200);

ALTER TABLE work.items ADD COLUMN error_signature text GENERATED ALWAYS AS (CASE WHEN state = 'dead' THEN work.error_signature(last_error) END) STORED;
CREATE INDEX items_dead_alike ON work.items (tenant_id, kind, error_signature) WHERE state = 'dead';

-- The revival of many dead items, at a chosen rate, a few canaries first. Driven by a work item of its own.
CREATE TABLE work.redrives (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    kind            text,
    error_signature text,
    canary          integer NOT NULL,
    per_second      integer NOT NULL,
    status          text NOT NULL,
    reason          text,
    matched         bigint NOT NULL,
    released        bigint NOT NULL DEFAULT 0,
    released_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CONSTRAINT redrives_tenant_id UNIQUE (tenant_id, id),
    CONSTRAINT redrives_status_known CHECK (status IN ('canary', 'running', 'completed', 'stopped')),
    CONSTRAINT redrives_end_is_dated CHECK ((status IN ('completed', 'stopped')) = (finished_at IS NOT NULL)),
    CONSTRAINT redrives_stop_has_a_reason CHECK ((status = 'stopped') = (reason IS NOT NULL)),
    CONSTRAINT redrives_pace CHECK (canary >= 0 AND per_second > 0)
);
CREATE INDEX redrives_listed ON work.redrives (tenant_id, id DESC);
SELECT kernel.protect('work.redrives');

ALTER TABLE work.items
    ADD COLUMN redrive_id uuid,
    ADD CONSTRAINT items_redrive FOREIGN KEY (tenant_id, redrive_id) REFERENCES work.redrives (tenant_id, id) ON DELETE SET NULL (redrive_id);
-- How the items of a redrive fare.
CREATE INDEX items_redriven ON work.items (redrive_id) WHERE redrive_id IS NOT NULL;
