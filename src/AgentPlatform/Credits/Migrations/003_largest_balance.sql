-- A balance is an integer: what would make it larger is refused by a name that the code knows.
CREATE OR REPLACE FUNCTION credits.guard_balance() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    current_balance bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.contact_id::text, 0));
    SELECT coalesce(sum(amount), 0) INTO current_balance FROM credits.credit_events
    WHERE tenant_id = NEW.tenant_id AND contact_id = NEW.contact_id AND processed;
    IF current_balance + NEW.amount < 0 THEN
        RAISE EXCEPTION 'the balance is %', current_balance USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_balance_stays_positive';
    ELSIF current_balance + NEW.amount > 2147483647 THEN
        RAISE EXCEPTION 'the balance is %', current_balance USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_balance_fits';
    END IF;
    RETURN NEW;
END
$$;
