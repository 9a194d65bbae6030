-- From Postgres 16 on, creating a role makes its creator a member that may administer it but not SET ROLE to it, and 001 takes that
-- membership for the one it needs. (The newer syntax is text, so that Postgres 15 never reads it.)

DO $$
DECLARE
    role_name text;
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        FOREACH role_name IN ARRAY ARRAY['agentplatform_app', 'agentplatform_worker'] LOOP
            IF NOT pg_has_role(current_user, role_name, 'SET') THEN
                EXECUTE format('GRANT %I TO %I WITH SET TRUE', role_name, current_user);
            END IF;
        END LOOP;
    END IF;
END
$$;
