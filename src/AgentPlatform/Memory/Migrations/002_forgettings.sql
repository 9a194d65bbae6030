-- When a contact was forgotten: turns that wait to be remembered and were taken before it are not.
CREATE TABLE memory.forgettings (
    tenant_id    uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    contact_id   uuid        NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, contact_id),
    CONSTRAINT forgetting_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE
);
SELECT kernel.protect('memory.forgettings');
