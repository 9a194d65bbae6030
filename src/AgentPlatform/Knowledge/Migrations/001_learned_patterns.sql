-- What was learned: steps that worked for a kind of task, where elements of a page are found, what goes wrong and what helped, and how a member's
-- own tasks succeeded.
GRANT USAGE ON SCHEMA knowledge TO agentplatform_app, agentplatform_worker;

-- Without a user a row is shared by the tenant; with one it is that user's alone, for reading and for writing. The platform itself sees both: it
-- learns for everybody, and its statements name whom they act for.
CREATE FUNCTION knowledge.share_or_own(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kernel.protect(target);
    EXECUTE format('CREATE POLICY shared_or_own ON %s AS RESTRICTIVE TO agentplatform_app '
        'USING (user_id IS NULL OR user_id = (SELECT kernel.current_user_id()) OR (SELECT kernel.is_system()))', target);
END $$;
REVOKE EXECUTE ON FUNCTION knowledge.share_or_own(regclass) FROM PUBLIC;

-- The same steps on the same page are one pattern. A hash, because steps are longer than an index entry may be.
CREATE FUNCTION knowledge.steps_key(p_page_url text, p_steps jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN md5(coalesce(p_page_url, '') || E'\n' || p_steps::text);

CREATE TABLE knowledge.action_patterns (
    tenant_id     uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id            uuid        NOT NULL,
    user_id       uuid,
    task_type     text        NOT NULL CONSTRAINT action_pattern_task_type_length CHECK (length(task_type) BETWEEN 1 AND 255),
    task_name     text        NOT NULL,
    page_url      text,
    steps         jsonb       NOT NULL DEFAULT '[]' CONSTRAINT action_pattern_steps_are_a_list CHECK (jsonb_typeof(steps) = 'array'),
    steps_key     text        NOT NULL GENERATED ALWAYS AS (knowledge.steps_key(page_url, steps)) STORED,
    success_count integer     NOT NULL DEFAULT 0 CONSTRAINT action_pattern_successes_range CHECK (success_count >= 0),
    failure_count integer     NOT NULL DEFAULT 0 CONSTRAINT action_pattern_failures_range CHECK (failure_count >= 0),
    -- As if it had worked once and failed once before: few tries prove little, in either direction.
    score         real        NOT NULL GENERATED ALWAYS AS ((success_count + 1)::real / (success_count + failure_count + 2)) STORED,
    last_executed timestamptz,
    metadata      jsonb       NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT action_pattern_once UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, task_type, steps_key),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
);
CREATE INDEX action_patterns_listed_idx ON knowledge.action_patterns (tenant_id, id DESC);
-- The best of a kind of task.
CREATE INDEX action_patterns_task_type_idx ON knowledge.action_patterns (tenant_id, task_type, score DESC);
SELECT knowledge.share_or_own('knowledge.action_patterns');

CREATE TABLE knowledge.element_selectors (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    user_id             uuid,
    page_path           text        NOT NULL CONSTRAINT element_selector_page_path_length CHECK (length(page_path) BETWEEN 1 AND 500),
    element_name        text        NOT NULL CONSTRAINT element_selector_element_name_length CHECK (length(element_name) BETWEEN 1 AND 255),
    primary_selector    text        NOT NULL,
    -- In the order in which they are tried when the primary one finds nothing.
    fallback_selectors  text[]      NOT NULL DEFAULT '{}',
    -- {"selector": {"successes": 3, "failures": 1}}: lately, see count_attempt.
    attempts            jsonb       NOT NULL DEFAULT '{}',
    total_attempts      integer     NOT NULL DEFAULT 0,
    successful_attempts integer     NOT NULL DEFAULT 0,
    success_rate        real        NOT NULL GENERATED ALWAYS AS (CASE WHEN total_attempts = 0 THEN 1 ELSE successful_attempts::real / total_attempts END) STORED,
    last_verified       timestamptz,
    screenshot_ref      text,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT element_selector_attempts_range CHECK (successful_attempts BETWEEN 0 AND total_attempts),
    CONSTRAINT element_selector_once UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, page_path, element_name),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX element_selectors_listed_idx ON knowledge.element_selectors (tenant_id, id DESC);
-- Where a worker looks one up, whoever owns it.
CREATE INDEX element_selectors_page_path_idx ON knowledge.element_selectors (tenant_id, page_path, element_name);
CREATE INDEX element_selectors_element_name_idx ON knowledge.element_selectors (tenant_id, element_name, id DESC);
SELECT knowledge.share_or_own('knowledge.element_selectors');

-- One more attempt with a selector. At twenty, what was before counts half: a page that has changed is noticed within a few attempts.
CREATE FUNCTION knowledge.count_attempt(p_attempts jsonb, p_selector text, p_worked boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH before AS (
        SELECT coalesce((p_attempts -> p_selector ->> 'successes')::integer, 0) AS successes, coalesce((p_attempts -> p_selector ->> 'failures')::integer, 0) AS failures
    ), lately AS (
        SELECT CASE WHEN successes + failures >= 20 THEN 2 ELSE 1 END AS share, successes, failures FROM before
    )
    SELECT p_attempts || jsonb_build_object(p_selector, jsonb_build_object(
        'successes', successes / share + p_worked::integer, 'failures', failures / share + (NOT p_worked)::integer))
    FROM lately
$$;

-- The order in which selectors are tried from now on. A fallback with five attempts whose score, counted like a pattern's, is a tenth above that of
-- the first one takes its place; the others keep theirs behind it.
CREATE FUNCTION knowledge.in_order(p_selectors text[], p_attempts jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH scored AS (
        SELECT e.selector, e.place, a.successes + a.failures AS tries, (a.successes + 1)::real / (a.successes + a.failures + 2) AS score
        FROM unnest(p_selectors) WITH ORDINALITY AS e (selector, place)
        CROSS JOIN LATERAL (SELECT coalesce((p_attempts -> e.selector ->> 'successes')::integer, 0) AS successes,
                                   coalesce((p_attempts -> e.selector ->> 'failures')::integer, 0) AS failures) AS a
    ), better AS (
        SELECT f.selector FROM scored AS f JOIN scored AS p ON p.place = 1
        WHERE f.place > 1 AND f.tries >= 5 AND f.score >= p.score + 0.1
        ORDER BY f.score DESC, f.place LIMIT 1
    )
    SELECT array_agg(selector ORDER BY selector IS DISTINCT FROM (SELECT selector FROM better), place) FROM scored
$$;

CREATE TABLE knowledge.error_patterns (
    tenant_id           uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    user_id             uuid,
    error_type          text        NOT NULL CONSTRAINT error_pattern_type_length CHECK (length(error_type) BETWEEN 1 AND 255),
    -- Of what the platform learned itself, the signature: no values of anybody's.
    error_message       text        NOT NULL,
    -- work.error_signature of the message as it was told.
    signature           text        NOT NULL,
    -- Where it happens: action:{action_id}, task:{kind}, or a worker's own word.
    context             text        CONSTRAINT error_pattern_context_length CHECK (length(context) BETWEEN 1 AND 500),
    -- In the order in which they are to be tried: [{"kind": "retry", "delay_seconds": 60, "successes": 3, "failures": 1}, …]
    recovery_strategies jsonb       NOT NULL DEFAULT '[]' CONSTRAINT error_pattern_strategies_are_a_list CHECK (jsonb_typeof(recovery_strategies) = 'array'),
    occurrence_count    integer     NOT NULL DEFAULT 0,
    resolved_count      integer     NOT NULL DEFAULT 0,
    last_occurred       timestamptz,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT error_pattern_resolves_what_occurred CHECK (resolved_count BETWEEN 0 AND occurrence_count),
    CONSTRAINT error_pattern_once UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, error_type, context, signature),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX error_patterns_listed_idx ON knowledge.error_patterns (tenant_id, id DESC);
-- Those of an error, whoever owns them.
CREATE INDEX error_patterns_error_type_idx ON knowledge.error_patterns (tenant_id, error_type, context, signature);
CREATE INDEX error_patterns_context_idx ON knowledge.error_patterns (tenant_id, context, id DESC);
SELECT knowledge.share_or_own('knowledge.error_patterns');

-- One more try at a recovery; one that is not in the list yet goes to its end. A strategy is its kind and, where it names one, its action.
CREATE FUNCTION knowledge.credit_strategy(p_strategies jsonb, p_strategy jsonb, p_worked boolean) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH kept AS (
        SELECT s, place, s -> 'kind' = p_strategy -> 'kind' AND (s ->> 'action_id') IS NOT DISTINCT FROM (p_strategy ->> 'action_id') AS meant
        FROM jsonb_array_elements(p_strategies) WITH ORDINALITY AS e (s, place)
    ), listed AS (
        SELECT s, place, meant FROM kept
        UNION ALL
        SELECT p_strategy, jsonb_array_length(p_strategies) + 1, true WHERE NOT EXISTS (SELECT FROM kept WHERE meant)
    )
    SELECT jsonb_agg(CASE WHEN meant THEN s || jsonb_build_object(
        'successes', coalesce((s ->> 'successes')::integer, 0) + p_worked::integer, 'failures', coalesce((s ->> 'failures')::integer, 0) + (NOT p_worked)::integer) ELSE s END ORDER BY place)
    FROM listed
$$;

CREATE TABLE knowledge.task_success_patterns (
    tenant_id            uuid        NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    id                   uuid        NOT NULL,
    pattern_id           text        NOT NULL,
    user_id              uuid        NOT NULL,
    task_type            text        NOT NULL CONSTRAINT task_success_task_type_length CHECK (length(task_type) BETWEEN 1 AND 255),
    task_name            text,
    successful_approach  jsonb       NOT NULL,
    selectors            jsonb       NOT NULL DEFAULT '{}',
    workflow             jsonb       NOT NULL DEFAULT '[]' CONSTRAINT task_success_workflow_is_a_list CHECK (jsonb_typeof(workflow) = 'array'),
    -- It fits where a task's context holds all of the one, and its state all of the other.
    context_conditions   jsonb       NOT NULL DEFAULT '{}',
    required_state       jsonb       NOT NULL DEFAULT '{}',
    -- Milliseconds, over all uses.
    avg_execution_time   real,
    success_rate         real        NOT NULL DEFAULT 1.0 CONSTRAINT task_success_rate_range CHECK (success_rate BETWEEN 0 AND 1),
    usage_count          integer     NOT NULL DEFAULT 1 CONSTRAINT task_success_usage_range CHECK (usage_count >= 1),
    confidence           real        NOT NULL DEFAULT 0.8 CONSTRAINT task_success_confidence_range CHECK (confidence BETWEEN 0 AND 1),
    adaptations          jsonb       NOT NULL DEFAULT '[]',
    reasoning_pattern_id text,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    last_used_at         timestamptz,

    PRIMARY KEY (tenant_id, id),
    CONSTRAINT task_success_pattern_id_once UNIQUE (tenant_id, pattern_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES tenancy.workspace_members (tenant_id, user_id) ON DELETE CASCADE
) WITH (fillfactor = 80);
-- A member's own: listed, and looked through by kind of task for the one that fits and is trusted most.
CREATE INDEX task_success_user_id_idx ON knowledge.task_success_patterns (tenant_id, user_id, id DESC);
CREATE INDEX task_success_task_type_idx ON knowledge.task_success_patterns (tenant_id, user_id, task_type, confidence DESC, success_rate DESC);
SELECT knowledge.share_or_own('knowledge.task_success_patterns');

-- Retention works in every tenant, and only on what the platform learned itself, long ago and to no end.
CREATE POLICY retention ON knowledge.error_patterns TO agentplatform_worker
    USING (user_id IS NULL AND metadata @> '{"learned": true}' AND resolved_count = 0 AND last_occurred < now() - interval '90 days');
CREATE POLICY retention ON knowledge.action_patterns TO agentplatform_worker
    USING (user_id IS NULL AND metadata @> '{"learned": true}' AND success_count + failure_count <= 1 AND last_executed < now() - interval '90 days');
GRANT SELECT, DELETE ON knowledge.error_patterns, knowledge.action_patterns TO agentplatform_worker;
CREATE INDEX error_patterns_last_occurred_idx ON knowledge.error_patterns (last_occurred);
CREATE INDEX action_patterns_last_executed_idx ON knowledge.action_patterns (last_executed);
