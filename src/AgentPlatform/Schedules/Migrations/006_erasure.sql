GRANT SELECT, DELETE ON schedules.archived_agent_tasks TO agentplatform_eraser;
