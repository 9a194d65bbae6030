-- Whether a request that no action of the agent fits becomes a task of the agency. A conversation can only narrow this.
ALTER TABLE tenancy.instance_configs ADD COLUMN auto_create_tasks boolean NOT NULL DEFAULT false;
