-- The agent's instance that the contact was assigned to; they stay with it until it is terminated.
ALTER TABLE contacts.customer_profiles
    ADD COLUMN poc_instance_id uuid,
    ADD CONSTRAINT profile_poc_instance FOREIGN KEY (tenant_id, poc_instance_id) REFERENCES tenancy.agent_instances (tenant_id, id) ON DELETE SET NULL (poc_instance_id);
-- Who is with an instance, and what an instance that goes leaves behind.
CREATE INDEX idx_profiles_poc_instance ON contacts.customer_profiles (tenant_id, poc_instance_id) WHERE poc_instance_id IS NOT NULL;
