-- An approval is given in its time or not at all.
ALTER TABLE workflows.sop_documents
    ADD COLUMN approval_timeout integer NOT NULL DEFAULT 259200 CONSTRAINT sop_approval_timeout_range CHECK (approval_timeout BETWEEN 60 AND 31536000);

-- Until when the execution may be approved; null when it needs no approval, and for those that began to wait before there was a limit.
ALTER TABLE workflows.sop_executions ADD COLUMN approval_due_at timestamptz;
