-- Sentences that ask for an action, beside the phrases that name it: what the classifier learns from.

ALTER TABLE actions.action_registry ADD COLUMN examples jsonb NOT NULL DEFAULT '[]'
    CONSTRAINT action_registry_examples_list CHECK (jsonb_typeof(examples) = 'array');
