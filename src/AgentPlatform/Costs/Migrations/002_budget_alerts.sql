-- One row for each share of a budget that was reached in a period: the flag that keeps it from being told of twice.
CREATE TABLE costs.budget_alerts (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id           uuid NOT NULL,
    budget_id    uuid NOT NULL,
    period       text NOT NULL CONSTRAINT alert_period_is_known CHECK (period IN ('daily', 'weekly', 'monthly')),
    -- The day (UTC) that the period began.
    period_start date NOT NULL,
    percent      integer NOT NULL CONSTRAINT alert_percent_is_a_share CHECK (percent BETWEEN 1 AND 100),
    -- In US dollars, as they were then.
    budget       numeric(12, 2) NOT NULL,
    spent        numeric(16, 6) NOT NULL,
    -- How many members were written to; null until that was seen to.
    members_told integer CONSTRAINT alert_told_is_not_negative CHECK (members_told >= 0),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_alert_a_crossing UNIQUE (tenant_id, budget_id, period, period_start, percent),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES costs.cost_budgets (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('costs.budget_alerts');
