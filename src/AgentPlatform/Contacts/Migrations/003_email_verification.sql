-- Proofs that an e-mail address is a contact's: a link and a code were sent there. Only their hashes are kept.

CREATE TABLE contacts.email_verification_tokens (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    contact_id      uuid         NOT NULL,
    -- Where the contact was asked to prove it.
    conversation_id uuid         NOT NULL,
    email           varchar(255) NOT NULL,
    token_hash      text         NOT NULL CONSTRAINT email_verification_token UNIQUE,
    code_hash       text         NOT NULL,
    attempts        integer      NOT NULL DEFAULT 0 CONSTRAINT verification_attempts_count_up CHECK (attempts >= 0),
    expires_at      timestamptz  NOT NULL,
    verified_at     timestamptz,
    created_at      timestamptz  NOT NULL,

    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE
);
-- Every turn of a contact who is not verified looks at the latest.
CREATE INDEX idx_email_verification_contact ON contacts.email_verification_tokens (tenant_id, contact_id, id DESC);
SELECT kernel.protect('contacts.email_verification_tokens');
CREATE POLICY bearer ON contacts.email_verification_tokens FOR SELECT TO agentplatform_app USING (token_hash = kernel.current_bearer());
