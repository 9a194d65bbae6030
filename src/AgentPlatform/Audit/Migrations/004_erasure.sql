-- What operators changed of a person is blanked; that they did, when, and from where stays.
SELECT kernel.let_erase('audit.audit_logs', 'refuse_update');
CREATE POLICY erasure ON audit.audit_logs FOR UPDATE TO agentplatform_eraser USING (tenant_id = (SELECT kernel.current_tenant_id()));
-- Rows are found by the ids of what is erased, and entries of rows that are gone by the profile they belonged to.
CREATE INDEX audit_logs_entity_id ON audit.audit_logs (tenant_id, entity_id) WHERE entity_id IS NOT NULL;
CREATE INDEX audit_logs_owner ON audit.audit_logs (tenant_id, coalesce(new_values ->> 'profile_id', old_values ->> 'profile_id', new_values ->> 'contact_id', old_values ->> 'contact_id'));
