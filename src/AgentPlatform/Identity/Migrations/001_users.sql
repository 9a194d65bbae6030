-- Operator accounts. A user exists once, whichever tenants it works in.

GRANT USAGE ON SCHEMA identity TO agentplatform_app, agentplatform_worker;

CREATE TABLE identity.users (
    id                    uuid PRIMARY KEY,
    email                 varchar(320) NOT NULL,
    full_name             text,
    avatar_url            text,
    phone                 varchar(20),
    login_method          text NOT NULL DEFAULT 'email',
    role                  text NOT NULL DEFAULT 'user',
    subscription_tier     text NOT NULL DEFAULT 'free',
    subscription_status   text NOT NULL DEFAULT 'active',
    gst_number            text,
    pan_number            text,
    state                 varchar(100),
    preferred_language    varchar(10) NOT NULL DEFAULT 'en',
    constitution          jsonb NOT NULL DEFAULT '{}',
    notification_settings jsonb NOT NULL DEFAULT '{}',
    onboarding_completed  boolean NOT NULL DEFAULT false,
    is_active             boolean NOT NULL DEFAULT true,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_email_is_lower_case CHECK (email = lower(email) AND email ~ '^[^@\s]+@[^@\s]+$'),
    CONSTRAINT user_login_method_is_known CHECK (login_method IN ('email', 'google', 'manus')),
    CONSTRAINT user_role_is_known CHECK (role IN ('user', 'admin')),
    CONSTRAINT user_subscription_tier_is_known CHECK (subscription_tier IN ('free', 'starter', 'growth', 'agency', 'enterprise')),
    CONSTRAINT user_subscription_status_is_known CHECK (subscription_status IN ('active', 'cancelled', 'past_due')),
    CONSTRAINT user_gst_number_is_a_gstin CHECK (gst_number ~ '^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]$'),
    CONSTRAINT user_pan_number_is_a_pan CHECK (pan_number ~ '^[A-Z]{5}[0-9]{4}[A-Z]$'),
    CONSTRAINT user_constitution_is_an_object CHECK (jsonb_typeof(constitution) = 'object'),
    CONSTRAINT user_notification_settings_is_an_object CHECK (jsonb_typeof(notification_settings) = 'object')
);

CREATE UNIQUE INDEX idx_users_email ON identity.users (email);

-- In this order: deleting a user takes the tenants it owns first, then its memberships elsewhere.
ALTER TABLE tenancy.tenants ADD CONSTRAINT tenants_owner_id_fkey
    FOREIGN KEY (owner_id) REFERENCES identity.users (id) ON DELETE CASCADE;
ALTER TABLE tenancy.workspace_members ADD CONSTRAINT workspace_members_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES identity.users (id) ON DELETE CASCADE;

CREATE TABLE identity.user_profiles (
    user_id         uuid PRIMARY KEY REFERENCES identity.users (id) ON DELETE CASCADE,
    company_name    text,
    industry        varchar(100),
    monthly_revenue varchar(50),
    employee_count  varchar(50),
    website         text,
    phone           varchar(30),
    goals           jsonb NOT NULL DEFAULT '[]',
    current_tools   jsonb NOT NULL DEFAULT '[]',
    referral_source varchar(100),
    notes           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE identity.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.users FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.user_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.user_profiles FORCE ROW LEVEL SECURITY;

-- Seen by itself, by whoever shares a tenant with it, and by whoever knows its whole e-mail address (to invite it).
CREATE POLICY own_or_colleague ON identity.users FOR SELECT TO agentplatform_app
    USING (id = kernel.current_user_id() OR tenancy.member_role(id) IS NOT NULL OR email = kernel.current_bearer());
CREATE POLICY users_insert ON identity.users FOR INSERT TO agentplatform_app
    WITH CHECK (kernel.current_tenant_id() IS NOT NULL AND tenancy.may_manage());
CREATE POLICY users_update ON identity.users FOR UPDATE TO agentplatform_app USING (id = kernel.current_user_id());
CREATE POLICY users_delete ON identity.users FOR DELETE TO agentplatform_app USING (id = kernel.current_user_id());

CREATE POLICY own_profile ON identity.user_profiles TO agentplatform_app
    USING (user_id = kernel.current_user_id()) WITH CHECK (user_id = kernel.current_user_id());

GRANT SELECT, INSERT, UPDATE, DELETE ON identity.users, identity.user_profiles TO agentplatform_app;

CREATE TRIGGER set_updated_at BEFORE UPDATE ON identity.users FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column();
CREATE TRIGGER set_updated_at BEFORE UPDATE ON identity.user_profiles FOR EACH ROW EXECUTE FUNCTION kernel.update_updated_at_column();

-- Published: the user with this address, made if need be. The address is what admits the caller to the row of a user elsewhere.
CREATE FUNCTION identity.ensure_user(new_id uuid, address text, display_name text) RETURNS uuid
    LANGUAGE plpgsql AS $$
DECLARE
    found_id uuid;
BEGIN
    PERFORM set_config('app.bearer', lower(address), true);
    INSERT INTO identity.users (id, email, full_name) VALUES (new_id, lower(address), display_name) ON CONFLICT (email) DO NOTHING;
    SELECT id INTO found_id FROM identity.users WHERE email = lower(address);
    PERFORM set_config('app.bearer', '', true);
    RETURN found_id;
END
$$;
