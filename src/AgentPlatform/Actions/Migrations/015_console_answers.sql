-- Approvals are answered on a page of the console, too.
ALTER TABLE actions.approval_decisions
    DROP CONSTRAINT approval_decisions_via_known,
    ADD CONSTRAINT approval_decisions_via_known CHECK (via IN ('api', 'console', 'link', 'reply'));
