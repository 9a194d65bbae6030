-- What a rule may ask of a contact, and where the contact can be reached. With the rights of whoever reads it: a tenant its own.
CREATE VIEW contacts.segment_contacts WITH (security_invoker = true) AS
SELECT p.tenant_id, p.id,
       jsonb_build_object(
           'external_id', p.external_id, 'phone_number', p.phone_number, 'email', p.email, 'display_name', p.display_name, 'first_name', p.first_name,
           'last_name', p.last_name, 'company', p.company, 'title', p.title, 'verified', p.verified, 'innovator', p.innovator,
           'expert_connector', p.expert_connector, 'expertise', to_jsonb(p.expertise), 'poc_agent_type', p.poc_agent_type, 'timezone', p.timezone,
           'credit_balance', p.credit_balance, 'status_level', p.status_level,
           'channels', (SELECT coalesce(jsonb_agg(DISTINCT i.channel), '[]') FROM contacts.channel_identities i WHERE i.tenant_id = p.tenant_id AND i.profile_id = p.id),
           'fields', (SELECT coalesce(jsonb_object_agg(f.field_name, f.field_value), '{}') FROM contacts.profile_fields f
                      WHERE f.tenant_id = p.tenant_id AND f.profile_id = p.id AND f.valid_to IS NULL)) AS facts,
       (SELECT coalesce(jsonb_object_agg(a.channel, a.channel_user_id), '{}')
        FROM (SELECT DISTINCT ON (i.channel) i.channel, i.channel_user_id FROM contacts.channel_identities i
              WHERE i.tenant_id = p.tenant_id AND i.profile_id = p.id ORDER BY i.channel, i.verified DESC, i.id DESC) AS a) AS addresses,
       ARRAY(SELECT c.channel::text
             FROM (SELECT DISTINCT ON (k.channel) k.channel, k.opted_out FROM contacts.channel_consents k
                   WHERE k.tenant_id = p.tenant_id AND k.profile_id = p.id ORDER BY k.channel, k.id DESC) AS c
             WHERE c.opted_out) AS opted_out_of
FROM contacts.customer_profiles p
WHERE p.merged_into_id IS NULL;
GRANT SELECT ON contacts.segment_contacts TO agentplatform_app;
