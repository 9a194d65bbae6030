-- A turn takes up what it has understood in the same breath: an intent is written once, as new or as processing.
CREATE OR REPLACE FUNCTION brain.begin_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status NOT IN ('new', 'processing') THEN
        RAISE EXCEPTION 'an intent begins as new, not as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'intent_ledger_begins_new';
    END IF;
    RETURN NEW;
END
$$;
