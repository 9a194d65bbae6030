-- Who erases a person may delete and blank rows of logs and ledgers too. A role of its own, that a transaction takes for nothing else: the
-- triggers of those tables go on refusing everybody else.

DO $$
DECLARE
    member record;
BEGIN
    BEGIN CREATE ROLE agentplatform_eraser NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    IF NOT pg_has_role('agentplatform_eraser', 'agentplatform_app', 'USAGE') THEN
        GRANT agentplatform_app TO agentplatform_eraser;
    END IF;
    -- Whoever runs the app today, and the owner of the schema.
    FOR member IN
        SELECT m.member::regrole AS name FROM pg_auth_members AS m
        WHERE m.roleid = 'agentplatform_app'::regrole AND m.member <> 'agentplatform_eraser'::regrole
        UNION SELECT current_user::regrole
    LOOP
        CONTINUE WHEN pg_has_role(member.name::oid, 'agentplatform_eraser', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END);
        EXECUTE format('GRANT agentplatform_eraser TO %s', member.name)
            || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH SET TRUE' ELSE '' END;
    END LOOP;
END
$$;

-- Makes a log or a ledger yield to erasure: the named triggers, which refuse changes, look away when it is the eraser.
CREATE FUNCTION kernel.let_erase(target regclass, VARIADIC triggers text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    refusal record;
BEGIN
    FOR refusal IN
        SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgrelid = target AND tgname = ANY (triggers)
    LOOP
        EXECUTE replace(replace(refusal.definition,
            'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
            'pg_trigger_depth() = 0', 'pg_trigger_depth() = 0 AND CURRENT_USER <> ''agentplatform_eraser''');
    END LOOP;
    EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %s TO agentplatform_eraser', target);
END
$$;
REVOKE EXECUTE ON FUNCTION kernel.let_erase(regclass, text[]) FROM PUBLIC;
