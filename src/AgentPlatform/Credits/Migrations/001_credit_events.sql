-- Credits exist only as events. A balance is the sum of the processed ones; the balance on the contact is a copy.

GRANT USAGE ON SCHEMA credits TO agentplatform_app;

CREATE TABLE credits.credit_events (
    tenant_id    uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id           uuid NOT NULL,
    contact_id   uuid NOT NULL,
    amount       integer NOT NULL,
    kind         text NOT NULL,
    -- What the credits are for: an intro, an answer, a purchase. The same cause counts once.
    cause        varchar(200) NOT NULL,
    description  varchar(500),
    processed    boolean NOT NULL DEFAULT false,
    processed_at timestamptz,
    created_by   varchar(100),
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_event_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT credit_cause_counts_once UNIQUE (tenant_id, contact_id, kind, cause),
    CONSTRAINT credit_kind_is_known CHECK (kind IN ('award', 'spend', 'adjustment')),
    CONSTRAINT credit_amount_fits_its_kind CHECK (amount <> 0 AND (kind <> 'award' OR amount > 0) AND (kind <> 'spend' OR amount < 0)),
    CONSTRAINT credit_processing_is_dated CHECK (processed = (processed_at IS NOT NULL))
);

CREATE INDEX idx_credit_events_contact ON credits.credit_events (tenant_id, contact_id, id DESC);

SELECT kernel.protect('credits.credit_events');
REVOKE DELETE ON credits.credit_events FROM agentplatform_app;

-- A ledger: the only change an event knows is from pending to processed.
CREATE TRIGGER refuse_change BEFORE UPDATE ON credits.credit_events
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND (OLD.processed OR NOT NEW.processed
        OR (OLD.tenant_id, OLD.id, OLD.contact_id, OLD.amount, OLD.kind, OLD.cause, OLD.created_at) IS DISTINCT FROM
           (NEW.tenant_id, NEW.id, NEW.contact_id, NEW.amount, NEW.kind, NEW.cause, NEW.created_at)))
    EXECUTE FUNCTION kernel.refuse_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON credits.credit_events
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION kernel.refuse_change();

CREATE VIEW credits.user_credit_balances WITH (security_invoker = true) AS
    SELECT tenant_id, contact_id, sum(amount)::integer AS balance, count(*)::integer AS events, max(processed_at) AS changed_at
    FROM credits.credit_events WHERE processed GROUP BY tenant_id, contact_id;

GRANT SELECT ON credits.user_credit_balances TO agentplatform_app;

-- Events of one contact take turns until their transaction ends, so that each sees what the others have made of the balance.
CREATE FUNCTION credits.guard_balance() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    current_balance bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.contact_id::text, 0));
    SELECT coalesce(sum(amount), 0) INTO current_balance FROM credits.credit_events
    WHERE tenant_id = NEW.tenant_id AND contact_id = NEW.contact_id AND processed;
    IF current_balance + NEW.amount < 0 THEN
        RAISE EXCEPTION 'the balance is %', current_balance USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_balance_stays_positive';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_balance BEFORE INSERT OR UPDATE OF processed ON credits.credit_events
    FOR EACH ROW WHEN (NEW.processed) EXECUTE FUNCTION credits.guard_balance();

CREATE FUNCTION credits.update_user_credit_cache() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM contacts.set_credit_balance(NEW.tenant_id, NEW.contact_id,
        (SELECT b.balance FROM credits.user_credit_balances b WHERE b.tenant_id = NEW.tenant_id AND b.contact_id = NEW.contact_id));
    RETURN NULL;
END
$$;

CREATE TRIGGER on_credit_event_processed AFTER INSERT OR UPDATE OF processed ON credits.credit_events
    FOR EACH ROW WHEN (NEW.processed) EXECUTE FUNCTION credits.update_user_credit_cache();
