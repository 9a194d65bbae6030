-- The app may log in as somebody else than whoever migrates. It asks at its start, and when its health is asked for, whether the database
-- is that of its build.
GRANT SELECT ON kernel.migrations TO agentplatform_app;
