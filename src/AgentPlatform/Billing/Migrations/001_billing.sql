-- What the installation sells to its workspaces, what each of them has bought, what was paid for it, and the invoices. Money is in whole minor units
-- (cents, paise). What is sold keeps its terms where it is sold: the catalogue may change.

GRANT USAGE ON SCHEMA billing TO agentplatform_app, agentplatform_worker;

CREATE TABLE billing.subscription_tiers (
    id                             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug                           varchar(50) NOT NULL UNIQUE,
    name                           varchar(100) NOT NULL,
    description                    text,
    currency                       text NOT NULL CONSTRAINT tier_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
    monthly_price_cents            integer NOT NULL CONSTRAINT tier_price_is_positive CHECK (monthly_price_cents > 0),
    setup_fee_cents                integer NOT NULL DEFAULT 0 CONSTRAINT setup_fee_is_not_negative CHECK (setup_fee_cents >= 0),
    weekly_premium_percent         integer NOT NULL DEFAULT 15 CONSTRAINT weekly_premium_is_percent CHECK (weekly_premium_percent BETWEEN 0 AND 100),
    six_month_discount_percent     integer NOT NULL DEFAULT 5 CONSTRAINT six_month_discount_is_percent CHECK (six_month_discount_percent BETWEEN 0 AND 100),
    annual_discount_percent        integer NOT NULL DEFAULT 10 CONSTRAINT annual_discount_is_percent CHECK (annual_discount_percent BETWEEN 0 AND 100),
    max_agents                     integer NOT NULL CONSTRAINT max_agents_is_positive CHECK (max_agents > 0),
    max_concurrent_agents          integer NOT NULL CONSTRAINT max_concurrent_agents_is_positive CHECK (max_concurrent_agents > 0),
    monthly_execution_limit        integer NOT NULL CONSTRAINT monthly_execution_limit_is_positive CHECK (monthly_execution_limit > 0),
    max_execution_duration_minutes integer NOT NULL DEFAULT 60 CONSTRAINT max_execution_duration_is_positive CHECK (max_execution_duration_minutes > 0),
    -- What an execution past all limits costs, and how much of that may be owed in a period. Null: it is refused.
    overage_cents                  integer CONSTRAINT overage_is_positive CHECK (overage_cents > 0),
    overage_cap_cents              integer CONSTRAINT overage_has_a_cap CHECK ((overage_cents IS NULL) = (overage_cap_cents IS NULL)),
    trial_days                     integer NOT NULL DEFAULT 0 CONSTRAINT trial_days_are_few CHECK (trial_days BETWEEN 0 AND 90),
    sort_order                     integer NOT NULL DEFAULT 0,
    is_active                      boolean NOT NULL DEFAULT true,
    is_popular                     boolean NOT NULL DEFAULT false,
    created_at                     timestamptz NOT NULL DEFAULT now(),
    updated_at                     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE billing.execution_packs (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug            varchar(50) NOT NULL UNIQUE,
    name            varchar(100) NOT NULL,
    description     text,
    -- Null: as many as one likes while it is valid.
    execution_count integer CONSTRAINT execution_count_is_positive CHECK (execution_count > 0),
    -- Null: until the period of the subscription ends.
    valid_for_days  integer CONSTRAINT valid_for_days_is_positive CHECK (valid_for_days > 0),
    currency        text NOT NULL CONSTRAINT pack_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
    price_cents     integer NOT NULL CONSTRAINT pack_price_is_positive CHECK (price_cents > 0),
    min_tier_id     uuid REFERENCES billing.subscription_tiers (id),
    max_per_month   integer CONSTRAINT max_per_month_is_positive CHECK (max_per_month > 0),
    sort_order      integer NOT NULL DEFAULT 0,
    is_active       boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX execution_packs_of_tier ON billing.execution_packs (min_tier_id);

CREATE TABLE billing.agent_add_ons (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug                varchar(50) NOT NULL UNIQUE,
    name                varchar(100) NOT NULL,
    description         text,
    additional_agents   integer NOT NULL CONSTRAINT additional_agents_is_positive CHECK (additional_agents > 0),
    currency            text NOT NULL CONSTRAINT add_on_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
    monthly_price_cents integer NOT NULL CONSTRAINT add_on_price_is_positive CHECK (monthly_price_cents > 0),
    min_tier_id         uuid REFERENCES billing.subscription_tiers (id),
    max_per_user        integer CONSTRAINT max_per_user_is_positive CHECK (max_per_user > 0),
    sort_order          integer NOT NULL DEFAULT 0,
    is_active           boolean NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agent_add_ons_of_tier ON billing.agent_add_ons (min_tier_id);

-- The catalogue is the installation's: every workspace reads it, and only the command line, which has the database, writes it.
DO $$
DECLARE
    target regclass;
BEGIN
    FOREACH target IN ARRAY ARRAY['billing.subscription_tiers', 'billing.execution_packs', 'billing.agent_add_ons']::regclass[] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY members_read ON %s FOR SELECT TO agentplatform_app USING ((SELECT kernel.current_tenant_id()) IS NOT NULL)', target);
        EXECUTE format('CREATE POLICY catalogue ON %s TO agentplatform_worker USING (true) WITH CHECK (true)', target);
        EXECUTE format('GRANT SELECT ON %s TO agentplatform_app', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO agentplatform_worker', target);
        EXECUTE format('CREATE TRIGGER set_updated_at BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column()', target);
    END LOOP;
END
$$;

-- The migration runs as the owner, whom the policies hold back, too.
ALTER TABLE billing.subscription_tiers NO FORCE ROW LEVEL SECURITY;
INSERT INTO billing.subscription_tiers (slug, name, currency, monthly_price_cents, max_agents, max_concurrent_agents, monthly_execution_limit, sort_order, is_popular) VALUES
    ('starter', 'Starter', 'USD', 99700, 5, 2, 200, 1, false),
    ('growth', 'Growth', 'USD', 169700, 10, 5, 500, 2, true),
    ('professional', 'Professional', 'USD', 319700, 25, 10, 1250, 3, false),
    ('enterprise', 'Enterprise', 'USD', 499700, 50, 25, 3000, 4, false);
ALTER TABLE billing.subscription_tiers FORCE ROW LEVEL SECURITY;

-- Whom invoices are made out to.
CREATE TABLE billing.buyers (
    tenant_id  uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    name       varchar(255) NOT NULL,
    gstin      text CONSTRAINT buyer_gstin_is_a_gstin CHECK (gstin ~ '^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]$'),
    address    text,
    state      varchar(100),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);
SELECT kernel.protect('billing.buyers');

CREATE TABLE billing.subscriptions (
    tenant_id                      uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                             uuid NOT NULL,
    tier_id                        uuid NOT NULL REFERENCES billing.subscription_tiers (id),
    status                         text NOT NULL CONSTRAINT subscription_status_is_known CHECK (status IN ('active', 'past_due', 'cancelled', 'paused', 'trial')),
    payment_frequency              text NOT NULL CONSTRAINT payment_frequency_is_known CHECK (payment_frequency IN ('weekly', 'monthly', 'six_month', 'annual')),
    provider                       text NOT NULL CONSTRAINT subscription_provider_is_known CHECK (provider IN ('stripe', 'phonepe')),
    -- The terms it was sold at.
    currency                       text NOT NULL,
    price_cents                    integer NOT NULL,
    setup_fee_cents                integer NOT NULL,
    monthly_execution_limit        integer NOT NULL,
    max_agents                     integer NOT NULL,
    max_concurrent_agents          integer NOT NULL,
    max_execution_duration_minutes integer NOT NULL,
    overage_cents                  integer,
    overage_cap_cents              integer,
    -- Ends of periods are counted from here: who subscribes on the 31st goes on paying on last days of months.
    anchored_at                    timestamptz NOT NULL,
    current_period_start           timestamptz NOT NULL,
    current_period_end             timestamptz NOT NULL,
    cancel_at_period_end           boolean NOT NULL DEFAULT false,
    trial_ends_at                  timestamptz,
    -- What the provider may be asked with when nobody sits before a payment page.
    customer_id                    text,
    method_id                      text,
    cancelled_at                   timestamptz,
    cancellation_reason            text,
    created_at                     timestamptz NOT NULL DEFAULT now(),
    updated_at                     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT period_is_not_empty CHECK (current_period_start < current_period_end),
    CONSTRAINT cancelled_says_when CHECK ((cancelled_at IS NOT NULL) = (status = 'cancelled')),
    CONSTRAINT trial_has_an_end CHECK (status <> 'trial' OR trial_ends_at IS NOT NULL)
);
CREATE UNIQUE INDEX one_current_subscription ON billing.subscriptions (tenant_id) WHERE status <> 'cancelled';
CREATE INDEX subscriptions_of_tier ON billing.subscriptions (tier_id);
SELECT kernel.protect('billing.subscriptions');

-- What was used in a period, beside the limits that held in it. The open one counts; apart from the subscription, whose version must not move by it.
CREATE TABLE billing.subscription_usage_records (
    tenant_id                       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                              uuid NOT NULL,
    subscription_id                 uuid NOT NULL,
    tier_id                         uuid NOT NULL REFERENCES billing.subscription_tiers (id),
    period_start                    timestamptz NOT NULL,
    period_end                      timestamptz NOT NULL,
    execution_limit                 integer NOT NULL,
    agent_limit                     integer NOT NULL,
    executions_used                 integer NOT NULL DEFAULT 0,
    agents_spawned                  integer NOT NULL DEFAULT 0,
    peak_concurrent_agents          integer NOT NULL DEFAULT 0,
    additional_executions_purchased integer NOT NULL DEFAULT 0,
    additional_executions_used      integer NOT NULL DEFAULT 0,
    overage_executions              integer NOT NULL DEFAULT 0,
    overage_charged_cents           integer NOT NULL DEFAULT 0,
    closed_at                       timestamptz,
    created_at                      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT used_is_within_the_limit CHECK (executions_used - additional_executions_used - overage_executions BETWEEN 0 AND execution_limit),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES billing.subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_open_usage_record ON billing.subscription_usage_records (tenant_id, subscription_id) WHERE closed_at IS NULL;
CREATE INDEX usage_records_of_subscription ON billing.subscription_usage_records (subscription_id, tenant_id);
CREATE INDEX usage_records_of_tier ON billing.subscription_usage_records (tier_id);
SELECT kernel.protect('billing.subscription_usage_records');

-- A payment is a row before its provider is called, and settled by what the provider says.
CREATE TABLE billing.payments (
    tenant_id               uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                      uuid NOT NULL,
    subscription_id         uuid,
    purpose                 text NOT NULL CONSTRAINT payment_purpose_is_known CHECK (purpose IN ('subscription', 'renewal', 'pack', 'add_on', 'overage')),
    description             text NOT NULL,
    -- What is sold, with its terms.
    item                    jsonb NOT NULL,
    provider                text NOT NULL CONSTRAINT payment_provider_is_known CHECK (provider IN ('stripe', 'phonepe')),
    -- Ours, by which the provider knows it; and the provider's.
    merchant_transaction_id text NOT NULL CONSTRAINT merchant_transaction_is_one UNIQUE,
    transaction_id          text,
    provider_ref            text,
    currency                text NOT NULL,
    amount                  integer NOT NULL CONSTRAINT payment_amount_is_positive CHECK (amount > 0),
    gst_percent             integer NOT NULL,
    cgst                    integer NOT NULL,
    sgst                    integer NOT NULL,
    igst                    integer NOT NULL,
    gst_amount              integer NOT NULL CONSTRAINT gst_is_its_parts CHECK (gst_amount = cgst + sgst + igst),
    total                   integer NOT NULL GENERATED ALWAYS AS (amount + gst_amount) STORED,
    -- Both, or somebody has to go to the payment page.
    customer_id             text,
    method_id               text CONSTRAINT method_is_a_customers CHECK (method_id IS NULL OR customer_id IS NOT NULL),
    status                  text NOT NULL DEFAULT 'pending' CONSTRAINT payment_status_is_known CHECK (status IN ('pending', 'success', 'failed', 'refunded')),
    -- idle: not with the provider; calling: perhaps there, its answer was lost or is still to come; open: there.
    call_status             text NOT NULL DEFAULT 'idle' CONSTRAINT payment_call_status_is_known CHECK (call_status IN ('idle', 'calling', 'open')),
    attempts                integer NOT NULL DEFAULT 0,
    called_at               timestamptz,
    pay_url                 text,
    expires_at              timestamptz,
    payment_method          varchar(100),
    failure_code            text,
    failure_reason          text,
    last_error              text,
    created_at              timestamptz NOT NULL,
    completed_at            timestamptz,
    updated_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT provider_transaction_is_one UNIQUE (provider, transaction_id),
    CONSTRAINT completed_when_not_pending CHECK ((completed_at IS NULL) = (status = 'pending')),
    CONSTRAINT failed_says_why CHECK ((failure_code IS NOT NULL) = (status = 'failed')),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES billing.subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_pending_payment_of_a_period ON billing.payments (tenant_id) WHERE status = 'pending' AND purpose IN ('subscription', 'renewal');
CREATE INDEX payments_of_subscription ON billing.payments (subscription_id, tenant_id);
CREATE INDEX payments_status ON billing.payments (tenant_id, status, id DESC);
SELECT kernel.protect('billing.payments');
-- Whoever names a payment as its provider does, and has proved to be that provider, sees whose it is.
CREATE POLICY bearer ON billing.payments FOR SELECT TO agentplatform_app USING (merchant_transaction_id = kernel.current_bearer());

CREATE TABLE billing.refunds (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id           uuid NOT NULL,
    payment_id   uuid NOT NULL,
    reason       text NOT NULL,
    status       text NOT NULL DEFAULT 'pending' CONSTRAINT refund_status_is_known CHECK (status IN ('pending', 'success', 'failed')),
    call_status  text NOT NULL DEFAULT 'idle' CONSTRAINT refund_call_status_is_known CHECK (call_status IN ('idle', 'calling', 'open')),
    attempts     integer NOT NULL DEFAULT 0,
    provider_ref text,
    error        text CONSTRAINT failed_refund_says_why CHECK (error IS NOT NULL OR status <> 'failed'),
    created_at   timestamptz NOT NULL,
    completed_at timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_refund_of_a_payment UNIQUE (tenant_id, payment_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES billing.payments (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('billing.refunds');

CREATE TABLE billing.user_execution_packs (
    tenant_id            uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                   uuid NOT NULL,
    pack_id              uuid NOT NULL REFERENCES billing.execution_packs (id),
    payment_id           uuid NOT NULL,
    executions_included  integer,
    executions_remaining integer CONSTRAINT remaining_is_of_included CHECK ((executions_remaining IS NULL) = (executions_included IS NULL) AND executions_remaining BETWEEN 0 AND executions_included),
    price_paid_cents     integer NOT NULL,
    status               text NOT NULL DEFAULT 'active' CONSTRAINT pack_status_is_known CHECK (status IN ('active', 'depleted', 'expired')),
    purchased_at         timestamptz NOT NULL,
    expires_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT depleted_at_none CHECK (status <> 'depleted' OR executions_remaining = 0),
    CONSTRAINT one_pack_of_a_payment UNIQUE (tenant_id, payment_id),
    FOREIGN KEY (tenant_id, payment_id) REFERENCES billing.payments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_execution_packs_active ON billing.user_execution_packs (tenant_id, expires_at) WHERE status = 'active';
CREATE INDEX user_execution_packs_of_pack ON billing.user_execution_packs (pack_id);
SELECT kernel.protect('billing.user_execution_packs');

CREATE TABLE billing.user_agent_add_ons (
    tenant_id         uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid NOT NULL,
    add_on_id         uuid NOT NULL REFERENCES billing.agent_add_ons (id),
    subscription_id   uuid NOT NULL,
    payment_id        uuid NOT NULL,
    quantity          integer NOT NULL CONSTRAINT quantity_is_positive CHECK (quantity > 0),
    -- Of one, as they were sold: the price of a period of the subscription.
    additional_agents integer NOT NULL,
    price_cents       integer NOT NULL,
    status            text NOT NULL DEFAULT 'active' CONSTRAINT add_on_status_is_known CHECK (status IN ('active', 'cancelled')),
    started_at        timestamptz NOT NULL,
    cancelled_at      timestamptz CONSTRAINT cancelled_add_on_says_when CHECK ((cancelled_at IS NOT NULL) = (status = 'cancelled')),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_add_on_of_a_payment UNIQUE (tenant_id, payment_id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES billing.subscriptions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, payment_id) REFERENCES billing.payments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX user_agent_add_ons_of_subscription ON billing.user_agent_add_ons (subscription_id, tenant_id);
CREATE INDEX user_agent_add_ons_of_add_on ON billing.user_agent_add_ons (add_on_id);
SELECT kernel.protect('billing.user_agent_add_ons');

-- An execution that was counted, once however often it is tried, and what it was taken from.
CREATE TABLE billing.executions (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid NOT NULL,
    usage_record_id uuid NOT NULL,
    agent_id        uuid NOT NULL,
    taken_from      text NOT NULL CONSTRAINT execution_is_taken_from_something CHECK (taken_from IN ('included', 'pack', 'overage')),
    pack_id         uuid CONSTRAINT pack_is_named CHECK ((pack_id IS NOT NULL) = (taken_from = 'pack')),
    started_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, usage_record_id) REFERENCES billing.subscription_usage_records (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX executions_of_usage_record ON billing.executions (usage_record_id, tenant_id);
SELECT kernel.protect('billing.executions');

-- Invoices and the credit notes that correct them. They outlive the workspace: nothing here refers to a row that goes with it.
CREATE TABLE billing.invoices (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    kind           text NOT NULL CONSTRAINT invoice_kind_is_known CHECK (kind IN ('invoice', 'credit_note')),
    payment_id     uuid NOT NULL,
    -- The invoice that a credit note corrects.
    corrects_id    uuid CONSTRAINT credit_note_corrects CHECK ((corrects_id IS NOT NULL) = (kind = 'credit_note')),
    invoice_number varchar(50) NOT NULL CONSTRAINT invoice_number_is_one UNIQUE,
    fiscal_year    varchar(5) NOT NULL,
    invoice_date   timestamptz NOT NULL,
    buyer_name     varchar(255) NOT NULL,
    buyer_gstin    varchar(20),
    buyer_address  text,
    buyer_state    varchar(100),
    currency       text NOT NULL,
    subtotal       integer NOT NULL,
    cgst           integer NOT NULL,
    sgst           integer NOT NULL,
    igst           integer NOT NULL,
    total_gst      integer NOT NULL CONSTRAINT total_gst_is_its_parts CHECK (total_gst = cgst + sgst + igst),
    grand_total    integer NOT NULL CONSTRAINT grand_total_is_the_sum CHECK (grand_total = subtotal + total_gst),
    data           jsonb NOT NULL,
    pdf_url        text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT one_invoice_of_a_payment UNIQUE (tenant_id, payment_id, kind)
);
SELECT kernel.protect('billing.invoices');
SELECT kernel.append_only('billing.invoices');

-- The last number of a series in a fiscal year, for all workspaces of the seller: no gap, because a number is taken in the transaction that issues
-- it, and goes back with it. Whoever takes one holds up all others until then, so it is taken last.
CREATE TABLE billing.invoice_sequences (
    series      text NOT NULL,
    fiscal_year varchar(5) NOT NULL,
    last_number integer NOT NULL,
    PRIMARY KEY (series, fiscal_year)
);

CREATE FUNCTION billing.next_invoice_number(p_series text, p_fiscal_year text) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = billing, pg_temp AS $$
    INSERT INTO billing.invoice_sequences AS s (series, fiscal_year, last_number) VALUES (p_series, p_fiscal_year, 1)
    ON CONFLICT (series, fiscal_year) DO UPDATE SET last_number = s.last_number + 1
    RETURNING last_number
$$;
REVOKE EXECUTE ON FUNCTION billing.next_invoice_number(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.next_invoice_number(text, text) TO agentplatform_app;
