-- What happened and what was true (episodes), what is kept at hand and fades (memory chunks), and who and what it is about (entities, relationships).

GRANT USAGE ON SCHEMA memory TO agentplatform_app, agentplatform_worker;

CREATE TABLE memory.episodes (
    tenant_id           uuid             NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    -- A turn's is its record's, a fact's its field's value's, an event's its request's, a summary's that of the last message it tells of: what is
    -- told twice is kept once.
    id                  uuid             NOT NULL,
    -- Null: known to every agent of the tenant.
    agent_id            uuid,
    customer_profile_id uuid,
    conversation_id     uuid,
    session_id          uuid,
    content             text             NOT NULL,
    embedding           vector(1536),
    embedding_model     varchar(100),
    episode_type        varchar(50)      NOT NULL,
    importance          double precision NOT NULL DEFAULT 0.5,
    -- When it was true …
    valid_from          timestamptz      NOT NULL DEFAULT now(),
    valid_to            timestamptz,
    -- … and when it was learned.
    recorded_at         timestamptz      NOT NULL DEFAULT now(),
    metadata            jsonb            NOT NULL DEFAULT '{}',
    group_id            uuid,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT episode_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT episode_contact FOREIGN KEY (tenant_id, customer_profile_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT episode_conversation FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT chk_episodes_type CHECK (episode_type IN ('TURN', 'SUMMARY', 'FACT', 'EVENT')),
    CONSTRAINT episode_has_content CHECK (content <> ''),
    CONSTRAINT episode_importance CHECK (importance BETWEEN 0 AND 1),
    CONSTRAINT episode_ends_after_it_began CHECK (valid_to >= valid_from),
    CONSTRAINT episode_embedding_is_whole CHECK ((embedding IS NULL) = (embedding_model IS NULL))
);
CREATE INDEX idx_episodes_tenant_agent ON memory.episodes (tenant_id, agent_id, id DESC);
CREATE INDEX idx_episodes_customer ON memory.episodes (tenant_id, customer_profile_id, id DESC) WHERE customer_profile_id IS NOT NULL;
CREATE INDEX idx_episodes_conversation ON memory.episodes (tenant_id, conversation_id, id DESC) WHERE conversation_id IS NOT NULL;
CREATE INDEX idx_episodes_session ON memory.episodes (tenant_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX idx_episodes_group ON memory.episodes (tenant_id, group_id, id DESC) WHERE group_id IS NOT NULL;
CREATE INDEX idx_episodes_unembedded ON memory.episodes (tenant_id, id) WHERE embedding IS NULL;
-- Retention asks in every tenant.
CREATE INDEX idx_episodes_old_turns ON memory.episodes (valid_from) WHERE episode_type = 'TURN';
SELECT kernel.protect('memory.episodes');
-- What was said in a private conversation is seen with it.
CREATE POLICY user_isolation_policy ON memory.episodes AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (conversation_id IS NULL OR (SELECT kernel.is_system()) OR conversations.is_visible(tenant_id, conversation_id));
CREATE POLICY retention ON memory.episodes TO agentplatform_worker USING (episode_type = 'TURN' AND valid_from < now() - interval '1 day');
GRANT SELECT, DELETE ON memory.episodes TO agentplatform_worker;

CREATE TABLE memory.memory_chunks (
    tenant_id       uuid          NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id              uuid          NOT NULL,
    agent_id        uuid,
    -- Null: of nobody in particular, and so recalled for everybody.
    contact_id      uuid,
    conversation_id uuid,
    content         text          NOT NULL,
    embedding       vector(768)   NOT NULL,
    embedding_model varchar(100)  NOT NULL,
    memory_type     varchar(100)  NOT NULL,
    source          varchar(500),
    metadata        jsonb         NOT NULL DEFAULT '{}',
    decay_weight    numeric(5, 4) NOT NULL DEFAULT 1.0,
    access_count    integer       NOT NULL DEFAULT 0,
    last_accessed   timestamptz   NOT NULL DEFAULT now(),
    created_at      timestamptz   NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT memory_chunk_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT memory_chunk_contact FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT memory_chunk_conversation FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations.conversations (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT memory_chunk_type CHECK (memory_type IN ('conversation', 'fact', 'research', 'campaign')),
    CONSTRAINT memory_chunk_has_content CHECK (content <> ''),
    CONSTRAINT memory_chunk_weight CHECK (decay_weight BETWEEN 0 AND 1),
    CONSTRAINT memory_chunk_accesses CHECK (access_count >= 0)
) WITH (fillfactor = 80);
CREATE INDEX idx_memory_agent ON memory.memory_chunks (tenant_id, agent_id, id DESC);
CREATE INDEX idx_memory_contact ON memory.memory_chunks (tenant_id, contact_id, id DESC);
CREATE INDEX idx_memory_conversation ON memory.memory_chunks (tenant_id, conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX idx_memory_type ON memory.memory_chunks (tenant_id, memory_type, id DESC);
-- What is told again under the same source takes the place of what was told before.
CREATE UNIQUE INDEX memory_chunk_source ON memory.memory_chunks (tenant_id, source) WHERE source IS NOT NULL;
-- Decay asks in every tenant.
CREATE INDEX idx_memory_last_accessed ON memory.memory_chunks (last_accessed);
SELECT kernel.protect('memory.memory_chunks');
CREATE POLICY user_isolation_policy ON memory.memory_chunks AS RESTRICTIVE FOR SELECT TO agentplatform_app
    USING (conversation_id IS NULL OR (SELECT kernel.is_system()) OR conversations.is_visible(tenant_id, conversation_id));
CREATE POLICY decay ON memory.memory_chunks TO agentplatform_worker USING (last_accessed < now() - interval '1 day');
GRANT SELECT, DELETE, UPDATE (decay_weight) ON memory.memory_chunks TO agentplatform_worker;

CREATE TABLE memory.entities (
    tenant_id           uuid         NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid         NOT NULL,
    -- Null: known to every agent of the tenant.
    agent_id            uuid,
    -- The contact that the entity is.
    customer_profile_id uuid,
    name                varchar(500) NOT NULL,
    entity_type         varchar(100) NOT NULL,
    canonical_name      varchar(500) NOT NULL,
    attributes          jsonb        NOT NULL DEFAULT '{}',
    embedding           vector(768)  NOT NULL,
    embedding_model     varchar(100) NOT NULL,
    created_at          timestamptz  NOT NULL DEFAULT now(),
    updated_at          timestamptz  NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT entity_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT entity_contact FOREIGN KEY (tenant_id, customer_profile_id) REFERENCES contacts.customer_profiles (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT entity_type CHECK (entity_type IN ('COMPANY', 'PERSON', 'PRODUCT', 'CONCEPT')),
    CONSTRAINT entity_of_a_contact_is_a_person CHECK (customer_profile_id IS NULL OR (entity_type = 'PERSON' AND agent_id IS NULL)),
    CONSTRAINT entity_has_a_name CHECK (name <> '' AND canonical_name <> ''),
    CONSTRAINT entity_attributes_have_names CHECK (jsonb_typeof(attributes) = 'object')
) WITH (fillfactor = 80);
-- People of one name may be two; a contact is one, whatever it is called.
CREATE UNIQUE INDEX entity_of_contact ON memory.entities (tenant_id, customer_profile_id) WHERE customer_profile_id IS NOT NULL;
CREATE UNIQUE INDEX entity_canonical ON memory.entities (tenant_id, entity_type, canonical_name, agent_id) NULLS NOT DISTINCT WHERE customer_profile_id IS NULL;
CREATE INDEX idx_entities_tenant_agent ON memory.entities (tenant_id, agent_id);
CREATE INDEX idx_entities_name ON memory.entities (tenant_id, name);
SELECT kernel.protect('memory.entities');

CREATE TABLE memory.relationships (
    tenant_id         uuid             NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                uuid             NOT NULL,
    source_entity_id  uuid             NOT NULL,
    target_entity_id  uuid             NOT NULL,
    relationship_type varchar(100)     NOT NULL,
    -- How sure it is that it holds …
    confidence        double precision NOT NULL DEFAULT 1.0,
    -- … and how much speaks for it.
    strength          numeric(3, 2)    NOT NULL DEFAULT 1.0,
    valid_from        timestamptz      NOT NULL DEFAULT now(),
    valid_to          timestamptz,
    metadata          jsonb            NOT NULL DEFAULT '{}',
    created_at        timestamptz      NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT relationship_source FOREIGN KEY (tenant_id, source_entity_id) REFERENCES memory.entities (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT relationship_target FOREIGN KEY (tenant_id, target_entity_id) REFERENCES memory.entities (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_relationships UNIQUE (tenant_id, source_entity_id, target_entity_id, relationship_type, valid_from),
    CONSTRAINT relationship_has_two_ends CHECK (source_entity_id <> target_entity_id),
    CONSTRAINT relationship_confidence CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT relationship_strength CHECK (strength BETWEEN 0 AND 1),
    CONSTRAINT relationship_ends_after_it_began CHECK (valid_to >= valid_from)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX one_open_relationship ON memory.relationships (tenant_id, source_entity_id, target_entity_id, relationship_type) WHERE valid_to IS NULL;
CREATE INDEX idx_relationships_target ON memory.relationships (tenant_id, target_entity_id);
CREATE INDEX idx_relationships_type ON memory.relationships (tenant_id, relationship_type, id DESC);
SELECT kernel.protect('memory.relationships');

-- Whoever writes an episode without an embedding leaves the work to make one.
CREATE FUNCTION memory.ask_for_embedding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM work.enqueue(NEW.tenant_id, 'memory.embed', NEW.id::text, '{}', 'memory.embed', 80::smallint, NULL, 10);
    RETURN NULL;
END $$;
CREATE TRIGGER ask_for_embedding AFTER INSERT ON memory.episodes FOR EACH ROW WHEN (NEW.embedding IS NULL) EXECUTE FUNCTION memory.ask_for_embedding();

-- A new summary of a conversation holds in place of the one before. (A clock that steps back must not end one before it began.)
CREATE FUNCTION memory.hear_of_summary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tenancy.agent_remembers(NEW.tenant_id, NEW.agent_id) THEN
        UPDATE memory.episodes SET valid_to = greatest(valid_from, now())
        WHERE tenant_id = NEW.tenant_id AND conversation_id = NEW.id AND episode_type = 'SUMMARY' AND valid_to IS NULL;
        INSERT INTO memory.episodes (tenant_id, id, agent_id, customer_profile_id, conversation_id, group_id, content, episode_type, importance, metadata)
        VALUES (NEW.tenant_id, NEW.last_summary_message_id, NEW.agent_id, NEW.contact_id, NEW.id, NEW.id, NEW.conversation_summary, 'SUMMARY', 0.7,
                jsonb_build_object('through_message_id', NEW.last_summary_message_id))
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_memory_of_summary AFTER UPDATE OF conversation_summary ON conversations.conversations FOR EACH ROW
    WHEN (NEW.shared AND NEW.conversation_summary <> '' AND NEW.last_summary_message_id IS NOT NULL AND NEW.conversation_summary IS DISTINCT FROM OLD.conversation_summary)
    EXECUTE FUNCTION memory.hear_of_summary();

-- An action that succeeded, once: a request completes once.
CREATE FUNCTION memory.hear_of_action() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tenancy.agent_remembers(NEW.tenant_id, NEW.agent_id) AND conversations.is_shared(NEW.tenant_id, NEW.conversation_id) THEN
        INSERT INTO memory.episodes (
            tenant_id, id, agent_id, customer_profile_id, conversation_id, session_id, group_id, content, episode_type, importance, metadata)
        VALUES (NEW.tenant_id, NEW.id, NEW.agent_id, NEW.contact_id, NEW.conversation_id, NEW.session_id, NEW.conversation_id,
                left(concat(coalesce(NEW.action_name, NEW.action_id), ' succeeded: ', NEW.params_collected), 4000), 'EVENT', 0.6,
                jsonb_build_object('queue_id', NEW.queue_id, 'action_id', NEW.action_id))
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_memory_of_success AFTER UPDATE OF status ON actions.action_queue FOR EACH ROW
    WHEN (NEW.status = 'completed' AND OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION memory.hear_of_action();
