-- A person who is erased. The profile's row stays, empty: ledgers point at it, and nothing in it says who it was.
ALTER TABLE contacts.customer_profiles ADD COLUMN erased_at timestamptz;

SELECT kernel.let_erase('contacts.channel_consents', 'refuse_change');

-- That it was asked for, by whom, how far it has come, and how many rows it took from where: never what was in them.
CREATE TABLE contacts.erasures (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid        NOT NULL,
    contact_id    uuid        NOT NULL,
    -- The contact and all that were merged into it.
    contact_ids   uuid[]      NOT NULL,
    status        text        NOT NULL DEFAULT 'accepted',
    requested_by  uuid        NOT NULL,
    rows_erased   jsonb       NOT NULL DEFAULT '{}',
    -- Channels whose opt-out outlives the person, as hashes of the addresses.
    opt_outs_kept text[]      NOT NULL DEFAULT '{}',
    error         text,
    requested_at  timestamptz NOT NULL,
    settling_from timestamptz,
    completed_at  timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT erasure_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT erasure_once UNIQUE (tenant_id, contact_id),
    CONSTRAINT erasure_status CHECK (status IN ('accepted', 'erasing', 'settling', 'completed', 'failed')),
    CONSTRAINT erasure_ends_once CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT erasure_failure_says_why CHECK ((status = 'failed') = (error IS NOT NULL)),
    CONSTRAINT erasure_settles_after_it_erased CHECK (status NOT IN ('settling', 'completed') OR settling_from IS NOT NULL)
);
SELECT kernel.protect('contacts.erasures');

-- Addresses that nobody writes to although nobody knows any more whose they are. A row leaves when its address comes back: the new contact's
-- consents carry the opt-out from then on.
CREATE TABLE contacts.suppressed_addresses (
    tenant_id    uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    channel      varchar(50) NOT NULL,
    address_hash text        NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, channel, address_hash),
    CONSTRAINT suppressed_channel CHECK (channel IN ('sms', 'email', 'webhook', 'web'))
);
SELECT kernel.protect('contacts.suppressed_addresses');

-- Slow on purpose, and salted by the tenant: whoever gets the table has to try all numbers of a country at some ten milliseconds each.
CREATE FUNCTION contacts.address_hash(p_tenant_id uuid, p_channel text, p_address text) RETURNS text LANGUAGE sql STABLE
    RETURN crypt(encode(sha256(convert_to(p_channel || ':' || p_address, 'UTF8')), 'hex'), '$2a$08$' || left(md5(p_tenant_id::text), 22));

-- Whichever way an address comes back, its opt-out is there before the first message can be.
CREATE FUNCTION contacts.keep_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM contacts.suppressed_addresses WHERE tenant_id = NEW.tenant_id AND channel = NEW.channel) THEN
        DELETE FROM contacts.suppressed_addresses
        WHERE tenant_id = NEW.tenant_id AND channel = NEW.channel AND address_hash = contacts.address_hash(NEW.tenant_id, NEW.channel, NEW.channel_user_id);
        IF FOUND THEN
            INSERT INTO contacts.channel_consents (tenant_id, profile_id, channel, opted_out, source)
            VALUES (NEW.tenant_id, NEW.profile_id, NEW.channel, true, 'erased_contact');
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep_opt_out AFTER INSERT ON contacts.channel_identities FOR EACH ROW EXECUTE FUNCTION contacts.keep_opt_out();

-- Who is erased is in no segment.
CREATE OR REPLACE VIEW contacts.segment_contacts WITH (security_invoker = true) AS
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
WHERE p.merged_into_id IS NULL AND p.erased_at IS NULL;
