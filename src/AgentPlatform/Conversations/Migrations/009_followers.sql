-- Which conversations somebody follows live, on whatever host: nobody writes drafts of replies for those that nobody looks at.
CREATE TABLE conversations.conversation_followers (
    tenant_id       uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    conversation_id uuid NOT NULL,
    -- Put off as long as anybody looks.
    followed_until  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_conversation_followers_until ON conversations.conversation_followers (followed_until);
SELECT kernel.protect('conversations.conversation_followers');
-- Who has gone is forgotten after a day; the worker sees nobody else.
CREATE POLICY retention ON conversations.conversation_followers TO agentplatform_worker USING (followed_until < now() - interval '1 day');
GRANT SELECT, DELETE ON conversations.conversation_followers TO agentplatform_worker;
