-- What an attempt was told had worked before: ids of Knowledge, whose rows may go while the attempt's stays.
ALTER TABLE tasks.task_executions
    ADD COLUMN action_pattern_id  uuid,
    ADD COLUMN success_pattern_id uuid;
