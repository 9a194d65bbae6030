GRANT USAGE ON SCHEMA contacts TO agentplatform_app;

CREATE TABLE contacts.customer_profiles (
    tenant_id            uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                   uuid         NOT NULL,
    external_id          varchar(255),
    phone_number         varchar(20),
    email                varchar(255),
    display_name         varchar(255),
    first_name           varchar(100),
    last_name            varchar(100),
    company              varchar(255),
    title                varchar(255),
    linkedin_url         varchar(500),
    verified             boolean      NOT NULL DEFAULT false,
    innovator            boolean      NOT NULL DEFAULT false,
    expert_connector     boolean      NOT NULL DEFAULT false,
    expertise            text[]       NOT NULL DEFAULT '{}',
    poc_agent_id         uuid,
    poc_agent_type       varchar(50)  NOT NULL DEFAULT 'bouncer',
    quiet_hours_start    time,
    quiet_hours_end      time,
    timezone             varchar(50),
    response_pattern     jsonb        NOT NULL DEFAULT '{}',
    credit_balance       integer      NOT NULL DEFAULT 0,
    status_level         varchar(50)  NOT NULL DEFAULT 'member',
    phone_number_history jsonb        NOT NULL DEFAULT '[]',
    merged_into_id       uuid,
    changed_at           timestamptz  NOT NULL DEFAULT clock_timestamp(),
    created_at           timestamptz  NOT NULL DEFAULT now(),
    updated_at           timestamptz  NOT NULL DEFAULT now(),
    last_active_at       timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT profile_merged_into FOREIGN KEY (tenant_id, merged_into_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT profile_poc_agent FOREIGN KEY (tenant_id, poc_agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE SET NULL (poc_agent_id),
    CONSTRAINT profile_poc_agent_type CHECK (poc_agent_type IN ('bouncer', 'concierge', 'innovator')),
    CONSTRAINT profile_phone_is_e164 CHECK (phone_number ~ '^\+[1-9][0-9]{4,14}$'),
    CONSTRAINT profile_quiet_hours_are_whole CHECK ((quiet_hours_start IS NULL) = (quiet_hours_end IS NULL)),
    CONSTRAINT profile_status_level CHECK (status_level <> ''),
    CONSTRAINT profile_not_merged_into_itself CHECK (merged_into_id <> id),
    CONSTRAINT profile_history_is_a_list CHECK (jsonb_typeof(phone_number_history) = 'array')
) WITH (fillfactor = 80);

-- A merged profile keeps its number as a record; only a living one owns it.
CREATE UNIQUE INDEX idx_users_phone ON contacts.customer_profiles (tenant_id, phone_number) WHERE phone_number IS NOT NULL AND merged_into_id IS NULL;
CREATE UNIQUE INDEX uq_profiles_external ON contacts.customer_profiles (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX idx_profiles_tenant ON contacts.customer_profiles (tenant_id, id DESC) WHERE merged_into_id IS NULL;
CREATE INDEX idx_profiles_merged ON contacts.customer_profiles (tenant_id, merged_into_id) WHERE merged_into_id IS NOT NULL;
CREATE INDEX idx_profiles_poc_agent_id ON contacts.customer_profiles (tenant_id, poc_agent_id) WHERE poc_agent_id IS NOT NULL;
CREATE INDEX idx_users_expertise ON contacts.customer_profiles USING gin (expertise);
CREATE INDEX idx_users_email ON contacts.customer_profiles (tenant_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX idx_users_verified ON contacts.customer_profiles (tenant_id, verified);
CREATE INDEX idx_users_poc_agent ON contacts.customer_profiles (tenant_id, poc_agent_type, verified);
SELECT kernel.protect('contacts.customer_profiles');

CREATE TABLE contacts.channel_identities (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    profile_id      uuid         NOT NULL,
    channel         varchar(50)  NOT NULL,
    channel_user_id varchar(255) NOT NULL,
    verified        boolean      NOT NULL DEFAULT false,
    created_at      timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT identity_profile FOREIGN KEY (tenant_id, profile_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT identity_channel CHECK (channel IN ('sms', 'email', 'webhook', 'web')),
    CONSTRAINT identity_address CHECK (channel_user_id <> '')
);
CREATE UNIQUE INDEX uq_channel_identity ON contacts.channel_identities (tenant_id, channel, channel_user_id);
CREATE INDEX idx_channel_identities_profile ON contacts.channel_identities (tenant_id, profile_id);
SELECT kernel.protect('contacts.channel_identities');

CREATE TABLE contacts.profile_fields (
    tenant_id   uuid             NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          uuid             NOT NULL,
    profile_id  uuid             NOT NULL,
    field_name  varchar(255)     NOT NULL,
    field_value text,
    source      varchar(50)      NOT NULL,
    confidence  double precision NOT NULL DEFAULT 1.0,
    verified    boolean          NOT NULL DEFAULT false,
    valid_from  timestamptz      NOT NULL DEFAULT now(),
    valid_to    timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT field_profile FOREIGN KEY (tenant_id, profile_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT chk_field_source CHECK (source IN ('USER_PROVIDED', 'EXTRACTED', 'INFERRED', 'SYSTEM')),
    CONSTRAINT field_confidence CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT field_period CHECK (valid_to IS NULL OR valid_to >= valid_from)
);
CREATE UNIQUE INDEX uq_profile_fields_current ON contacts.profile_fields (tenant_id, profile_id, field_name) WHERE valid_to IS NULL;
CREATE INDEX idx_profile_fields_name ON contacts.profile_fields (tenant_id, profile_id, field_name, valid_from DESC);
SELECT kernel.protect('contacts.profile_fields');

CREATE TABLE contacts.profile_assets (
    tenant_id       uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid         NOT NULL,
    profile_id      uuid         NOT NULL,
    asset_type      varchar(50)  NOT NULL,
    asset_reference varchar(500) NOT NULL,
    metadata        jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT asset_profile FOREIGN KEY (tenant_id, profile_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT asset_type_is_named CHECK (asset_type <> '' AND asset_reference <> '')
);
CREATE INDEX idx_profile_assets_type ON contacts.profile_assets (tenant_id, profile_id, asset_type);
SELECT kernel.protect('contacts.profile_assets');

-- One row per change: the newest of a channel is the state, the rest is the proof of it.
CREATE TABLE contacts.channel_consents (
    tenant_id   uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id          bigint       GENERATED ALWAYS AS IDENTITY,
    profile_id  uuid         NOT NULL,
    channel     varchar(50)  NOT NULL,
    opted_out   boolean      NOT NULL,
    source      varchar(100) NOT NULL,
    recorded_at timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT consent_profile FOREIGN KEY (tenant_id, profile_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT consent_channel CHECK (channel IN ('sms', 'email', 'webhook', 'web')),
    CONSTRAINT consent_source CHECK (source <> '')
);
CREATE INDEX idx_consents_latest ON contacts.channel_consents (tenant_id, profile_id, channel, id DESC);
SELECT kernel.protect('contacts.channel_consents');
SELECT kernel.append_only('contacts.channel_consents');

CREATE TABLE contacts.user_priorities (
    tenant_id     uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid         NOT NULL,
    contact_id    uuid         NOT NULL,
    priority_rank integer      NOT NULL,
    item_type     varchar(50)  NOT NULL,
    item_id       uuid         NOT NULL,
    title         varchar(255),
    value_score   numeric(5,2),
    status        varchar(50)  NOT NULL DEFAULT 'active',
    created_at    timestamptz  NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    presented_at  timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT priority_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id),
    CONSTRAINT uq_priorities_item UNIQUE (tenant_id, contact_id, item_type, item_id),
    CONSTRAINT priority_rank_from_one CHECK (priority_rank >= 1),
    CONSTRAINT priority_item_type CHECK (item_type IN ('intro_opportunity', 'community_request', 'solution_update')),
    CONSTRAINT priority_status CHECK (status IN ('active', 'presented', 'expired')),
    CONSTRAINT priority_presented_when CHECK (status <> 'presented' OR presented_at IS NOT NULL)
);
CREATE INDEX idx_priorities_user_active ON contacts.user_priorities (tenant_id, contact_id, priority_rank) WHERE status = 'active';
SELECT kernel.protect('contacts.user_priorities');
