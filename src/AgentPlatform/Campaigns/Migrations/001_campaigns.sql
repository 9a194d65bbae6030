-- What a company is and how it speaks, whom it wants to reach, and the campaigns it runs over the channels of the platform.

GRANT USAGE ON SCHEMA campaigns TO agentplatform_app, agentplatform_worker;

CREATE TABLE campaigns.foundations (
    tenant_id                uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                       uuid        NOT NULL,
    -- Who wrote it first; null when the platform did, or they are gone.
    user_id                  uuid        REFERENCES identity.users (id) ON DELETE SET NULL,
    company_name             varchar(255),
    business_description     text,
    industry                 varchar(100),
    location                 varchar(255),
    website                  varchar(500),
    positioning              text,
    unique_value_proposition text,
    key_differentiators      jsonb       NOT NULL DEFAULT '[]',
    brand_voice              varchar(100),
    tone_keywords            jsonb       NOT NULL DEFAULT '[]',
    messaging_pillars        jsonb       NOT NULL DEFAULT '[]',
    products                 jsonb       NOT NULL DEFAULT '[]',
    pricing_info             text,
    competitors              jsonb       NOT NULL DEFAULT '[]',
    data                     jsonb       NOT NULL DEFAULT '{}',
    created_at               timestamptz NOT NULL DEFAULT now(),
    updated_at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    -- A workspace is a tenant, and no row is without one: nothing that is null can let a second one in.
    CONSTRAINT foundation_is_one UNIQUE (tenant_id),
    CONSTRAINT foundation_lists CHECK (jsonb_typeof(key_differentiators) = 'array' AND jsonb_typeof(tone_keywords) = 'array' AND jsonb_typeof(messaging_pillars) = 'array'
        AND jsonb_typeof(products) = 'array' AND jsonb_typeof(competitors) = 'array' AND jsonb_typeof(data) = 'object')
);
CREATE INDEX idx_foundations_user ON campaigns.foundations (user_id) WHERE user_id IS NOT NULL;
SELECT kernel.protect('campaigns.foundations');

-- All agents of the tenant are told of it, so all of them are read anew.
CREATE FUNCTION campaigns.tell_agents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM agents.raise_guidance_of_all(coalesce(NEW.tenant_id, OLD.tenant_id));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_agents AFTER INSERT OR UPDATE OR DELETE ON campaigns.foundations FOR EACH ROW EXECUTE FUNCTION campaigns.tell_agents();

CREATE TABLE campaigns.icp_profiles (
    tenant_id          uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                 uuid         NOT NULL,
    user_id            uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    name               varchar(255) NOT NULL,
    title              varchar(255),
    industry           varchar(100),
    company_size       varchar(50),
    pain_points        jsonb        NOT NULL DEFAULT '[]',
    goals              jsonb        NOT NULL DEFAULT '[]',
    objections         jsonb        NOT NULL DEFAULT '[]',
    preferred_channels jsonb        NOT NULL DEFAULT '[]',
    psychographics     jsonb        NOT NULL DEFAULT '{}',
    firmographics      jsonb        NOT NULL DEFAULT '{}',
    data               jsonb        NOT NULL DEFAULT '{}',
    -- A condition over contacts. Until one is given the profile describes somebody and selects nobody.
    rule               jsonb        NOT NULL DEFAULT 'false',
    created_at         timestamptz  NOT NULL DEFAULT now(),
    updated_at         timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT icp_name_is_given CHECK (name <> ''),
    CONSTRAINT icp_lists CHECK (jsonb_typeof(pain_points) = 'array' AND jsonb_typeof(goals) = 'array' AND jsonb_typeof(objections) = 'array'
        AND jsonb_typeof(preferred_channels) = 'array' AND jsonb_typeof(psychographics) = 'object' AND jsonb_typeof(firmographics) = 'object' AND jsonb_typeof(data) = 'object')
);
CREATE INDEX idx_icp_user ON campaigns.icp_profiles (user_id) WHERE user_id IS NOT NULL;
SELECT kernel.protect('campaigns.icp_profiles');

CREATE TABLE campaigns.campaigns (
    tenant_id         uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid         NOT NULL,
    user_id           uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    name              varchar(255) NOT NULL,
    description       text,
    type              varchar(100) NOT NULL,
    status            varchar(50)  NOT NULL DEFAULT 'draft',
    start_date        date,
    end_date          date,
    target_icps       uuid[]       NOT NULL DEFAULT '{}',
    focus_areas       jsonb        NOT NULL DEFAULT '[]',
    risk_level        integer      NOT NULL DEFAULT 5,
    strategy          jsonb        NOT NULL DEFAULT '{}',
    phases            jsonb        NOT NULL DEFAULT '[]',
    metrics           jsonb        NOT NULL DEFAULT '{}',
    generation_status text         NOT NULL DEFAULT 'none',
    -- The run that is under way, or was the last.
    generation_id     uuid,
    generation_error  text,
    -- The last change by a member or by a generation (metrics are none); the ETag.
    changed_at        timestamptz  NOT NULL DEFAULT clock_timestamp(),
    created_at        timestamptz  NOT NULL DEFAULT now(),
    updated_at        timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT campaign_name_is_given CHECK (name <> ''),
    CONSTRAINT campaign_type CHECK (type IN ('product_launch', 'diwali', 'leadgen', 'awareness')),
    CONSTRAINT campaign_status CHECK (status IN ('draft', 'active', 'paused', 'completed')),
    CONSTRAINT campaign_dates_run_forward CHECK (end_date >= start_date),
    CONSTRAINT campaign_risk_level CHECK (risk_level BETWEEN 1 AND 10),
    CONSTRAINT campaign_generation_status CHECK (generation_status IN ('none', 'queued', 'generated', 'failed')),
    CONSTRAINT campaign_generation_is_named CHECK ((generation_status = 'none') = (generation_id IS NULL)),
    CONSTRAINT campaign_failure_says_why CHECK ((generation_status = 'failed') = (generation_error IS NOT NULL)),
    CONSTRAINT campaign_json CHECK (jsonb_typeof(focus_areas) = 'array' AND jsonb_typeof(strategy) = 'object' AND jsonb_typeof(phases) = 'array' AND jsonb_typeof(metrics) = 'object')
);
CREATE INDEX idx_campaigns_user ON campaigns.campaigns (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idx_campaigns_status ON campaigns.campaigns (tenant_id, status, id DESC);
-- Which campaigns still want a profile that is to be deleted.
CREATE INDEX idx_campaigns_icps ON campaigns.campaigns USING gin (target_icps);
SELECT kernel.protect('campaigns.campaigns');

CREATE TABLE campaigns.moves (
    tenant_id     uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid         NOT NULL,
    user_id       uuid         REFERENCES identity.users (id) ON DELETE SET NULL,
    campaign_id   uuid,
    title         varchar(500) NOT NULL,
    description   text,
    type          varchar(100) NOT NULL,
    status        varchar(50)  NOT NULL DEFAULT 'pending',
    priority      varchar(20)  NOT NULL DEFAULT 'medium',
    priority_rank smallint     NOT NULL GENERATED ALWAYS AS (CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END) STORED,
    due_date      timestamptz,
    assigned_to   uuid,
    content       jsonb        NOT NULL DEFAULT '{}',
    -- Names the run of the move: exec_YYYYMMDD_HHMMSS_<type>_<what makes it unique>.
    execution_id  varchar(255),
    -- Made by a generation of the campaign: the next one takes it away while it is pending.
    generated     boolean      NOT NULL DEFAULT false,
    -- The last contact that an outreach has looked at: where it goes on.
    reached       uuid,
    error         text,
    created_at    timestamptz  NOT NULL DEFAULT now(),
    updated_at    timestamptz  NOT NULL DEFAULT now(),
    completed_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns.campaigns (tenant_id, id) ON DELETE SET NULL (campaign_id),
    CONSTRAINT move_assignee_is_member FOREIGN KEY (tenant_id, assigned_to) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE SET NULL (assigned_to),
    CONSTRAINT move_execution UNIQUE (tenant_id, execution_id),
    CONSTRAINT move_title_is_given CHECK (title <> ''),
    CONSTRAINT move_type CHECK (type IN ('content', 'outreach', 'research', 'admin')),
    CONSTRAINT move_status CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    CONSTRAINT move_priority CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    CONSTRAINT move_run_is_named CHECK ((status = 'pending') = (execution_id IS NULL)),
    CONSTRAINT move_completion_is_dated CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT move_failure_says_why CHECK ((status = 'failed') = (error IS NOT NULL)),
    CONSTRAINT move_content_is_an_object CHECK (jsonb_typeof(content) = 'object')
);
CREATE INDEX idx_moves_user ON campaigns.moves (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX idx_moves_campaign ON campaigns.moves (tenant_id, campaign_id);
CREATE INDEX idx_moves_assigned ON campaigns.moves (tenant_id, assigned_to) WHERE assigned_to IS NOT NULL;
-- The list: what is urgent first, and of that what is due first.
CREATE INDEX idx_moves_order ON campaigns.moves (tenant_id, priority_rank, (coalesce(due_date, 'infinity'::timestamptz)), id);
CREATE INDEX idx_moves_status ON campaigns.moves (tenant_id, status, priority_rank, (coalesce(due_date, 'infinity'::timestamptz)), id);
SELECT kernel.protect('campaigns.moves');

-- Whom an outreach has written to, once each, and what became of it.
CREATE TABLE campaigns.move_recipients (
    tenant_id       uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    move_id         uuid        NOT NULL,
    contact_id      uuid        NOT NULL,
    status          text        NOT NULL,
    -- Why not, or why not any more.
    reason          text,
    channel         text,
    conversation_id uuid,
    -- The message in the queue, and the line of the conversation that it became.
    queue_id        uuid,
    message_id      uuid,
    sent_at         timestamptz,
    replied_at      timestamptz,
    opted_out_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, move_id, contact_id),
    FOREIGN KEY (tenant_id, move_id) REFERENCES campaigns.moves (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT recipient_status CHECK (status IN ('queued', 'sent', 'delivered', 'failed', 'skipped')),
    CONSTRAINT recipient_message_is_whole CHECK ((status = 'skipped') = (queue_id IS NULL) AND (queue_id IS NULL) = (conversation_id IS NULL) AND (queue_id IS NULL) = (channel IS NULL)),
    CONSTRAINT recipient_skip_says_why CHECK (status <> 'skipped' OR reason IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX idx_recipients_contact ON campaigns.move_recipients (contact_id);
CREATE UNIQUE INDEX uq_recipients_queue ON campaigns.move_recipients (tenant_id, queue_id) WHERE queue_id IS NOT NULL;
CREATE UNIQUE INDEX uq_recipients_message ON campaigns.move_recipients (tenant_id, message_id) WHERE message_id IS NOT NULL;
-- Whose answer an incoming message is.
CREATE INDEX idx_recipients_unanswered ON campaigns.move_recipients (tenant_id, conversation_id, sent_at DESC) WHERE sent_at IS NOT NULL AND replied_at IS NULL;
SELECT kernel.protect('campaigns.move_recipients');
