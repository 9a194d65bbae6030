-- The seed ran UPDATE users inside the BEFORE UPDATE trigger of the very row; assigning NEW is enough and cannot re-enter.
CREATE FUNCTION contacts.handle_phone_number_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.phone_number_history := OLD.phone_number_history || jsonb_build_object(
        'phone_number', OLD.phone_number, 'changed_at', now(), 'changed_reason', 'user_update');
    -- The carrier may give the number to somebody else, who must not be taken for this person.
    DELETE FROM contacts.channel_identities
    WHERE tenant_id = OLD.tenant_id AND profile_id = OLD.id AND channel = 'sms' AND channel_user_id = OLD.phone_number;
    PERFORM conversations.close_for_number(OLD.tenant_id, OLD.id, OLD.phone_number);
    RETURN NEW;
END $$;

CREATE TRIGGER on_phone_change BEFORE UPDATE OF phone_number ON contacts.customer_profiles
    FOR EACH ROW WHEN (OLD.phone_number IS NOT NULL AND NEW.phone_number IS DISTINCT FROM OLD.phone_number)
    EXECUTE FUNCTION contacts.handle_phone_number_change();

-- Published for Credits: its ledger is the truth, this column the copy that messages and lists read.
CREATE FUNCTION contacts.set_credit_balance(p_tenant_id uuid, p_contact_id uuid, p_balance integer) RETURNS void LANGUAGE sql AS $$
    UPDATE contacts.customer_profiles SET credit_balance = p_balance
    WHERE tenant_id = p_tenant_id AND id = p_contact_id AND credit_balance IS DISTINCT FROM p_balance;
$$;
