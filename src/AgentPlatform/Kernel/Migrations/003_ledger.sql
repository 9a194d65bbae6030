-- The app may log in as somebody else than whoever migrates. It asks at its start, and when its health is asked for, whether the database
-- is that of its build.
GRANT SELECT ON kernel.migrations TO agentplatform_worker;

-- What the migrations made, and what is there. Partitions come and go by themselves, and are no business of a migration's.
CREATE TABLE kernel.inventory (
    kind text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE VIEW kernel.objects AS
WITH ours AS (
    SELECT n.oid, n.nspname FROM pg_namespace AS n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'public') AND n.nspname NOT LIKE 'pg\_%'
), tables AS (
    SELECT c.oid, c.relkind, o.nspname || '.' || c.relname AS name
    FROM pg_class AS c JOIN ours AS o ON o.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
)
SELECT CASE WHEN relkind = 'v' THEN 'view' ELSE 'table' END AS kind, name FROM tables
UNION ALL
SELECT 'column', t.name || '.' || a.attname FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'trigger', t.name || '.' || g.tgname FROM tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'policy', t.name || '.' || p.polname FROM tables AS t JOIN pg_policy AS p ON p.polrelid = t.oid
UNION ALL
SELECT 'function', o.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' FROM pg_proc AS p JOIN ours AS o ON o.oid = p.pronamespace;

GRANT SELECT ON kernel.inventory, kernel.objects TO agentplatform_worker;
