-- The keys that seal operators' sessions and form tokens. They belong to the installation, not to a tenant, and only hosts see them.

CREATE TABLE identity.data_protection_keys (
    id            uuid PRIMARY KEY,
    friendly_name text NOT NULL,
    xml           text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT data_protection_key_is_xml CHECK (xml LIKE '<%>')
);

ALTER TABLE identity.data_protection_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.data_protection_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY hosts_read ON identity.data_protection_keys FOR SELECT TO agentplatform_worker USING (current_user = 'agentplatform_worker');
CREATE POLICY hosts_add ON identity.data_protection_keys FOR INSERT TO agentplatform_worker WITH CHECK (current_user = 'agentplatform_worker');
GRANT SELECT, INSERT ON identity.data_protection_keys TO agentplatform_worker;
