-- The workflows whose ends, one after the other, led to this start; oldest first. A workflow that is in it is not started once more.
ALTER TABLE workflows.workflow_instances ADD COLUMN start_chain text[] NOT NULL DEFAULT '{}';
