-- When an agent asks its language model (default_model, then the fallbacks in their order): when it is unsure, always, or never.
ALTER TABLE tenancy.instance_configs
    ADD COLUMN model_use text NOT NULL DEFAULT 'unsure' CONSTRAINT model_use_is_known CHECK (model_use IN ('unsure', 'always', 'never')),
    ADD COLUMN fallback_models text[] NOT NULL DEFAULT '{}' CONSTRAINT fallback_models_are_few CHECK (cardinality(fallback_models) <= 5);
