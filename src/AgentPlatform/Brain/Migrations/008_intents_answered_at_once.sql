-- An intent that its own turn answers is written once, with its end.
CREATE OR REPLACE FUNCTION brain.begin_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status NOT IN ('new', 'processing', 'completed', 'action_not_found') THEN
        RAISE EXCEPTION 'an intent begins as new, not as %', NEW.status USING ERRCODE = 'check_violation', CONSTRAINT = 'intent_ledger_begins_new';
    END IF;
    RETURN NEW;
END
$$;
