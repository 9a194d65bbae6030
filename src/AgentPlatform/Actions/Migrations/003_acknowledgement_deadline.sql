-- Until when an attempt waits to be acknowledged: written when it completes.

ALTER TABLE actions.action_execution_log
    ADD COLUMN acknowledge_by timestamptz,
    ADD CONSTRAINT action_execution_log_timeout_had_deadline CHECK (NOT acknowledgement_timeout OR (acknowledge_by IS NOT NULL AND NOT acknowledged));
