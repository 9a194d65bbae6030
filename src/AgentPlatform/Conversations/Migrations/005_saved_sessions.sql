-- Fails the transaction that saves a session somebody else has saved since it was read, so that the question needs no round trip of its own.
CREATE FUNCTION conversations.require_saved(p_saved bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_saved <> 1 THEN
        RAISE EXCEPTION 'The session was changed since it was read.' USING ERRCODE = 'CS001';
    END IF;
END
$$;
