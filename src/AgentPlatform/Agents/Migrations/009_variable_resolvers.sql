-- The action of the agent that tells a variable's value while the talk has not set it.
ALTER TABLE agents.variables ADD COLUMN resolver_tool_id varchar(255);
