-- Trained classifiers, one row a version. A row never changes: a host that holds a version in memory holds it for good.

CREATE TABLE brain.nlu_models (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenancy.tenants (id) ON DELETE CASCADE,
    agent_id uuid NOT NULL,
    version int NOT NULL CONSTRAINT nlu_models_version_positive CHECK (version >= 1),
    -- Of what it was trained from: the same again is not trained again.
    fingerprint bytea NOT NULL,
    model bytea NOT NULL,
    model_bytes int GENERATED ALWAYS AS (octet_length(model)) STORED,

    intents int NOT NULL CONSTRAINT nlu_models_knows_intents CHECK (intents >= 1),
    examples int NOT NULL CONSTRAINT nlu_models_has_examples CHECK (examples >= intents),
    -- On examples held out of training; null where there were too few.
    accuracy double precision CONSTRAINT nlu_models_accuracy_range CHECK (accuracy BETWEEN 0 AND 1),
    out_of_scope_recall double precision CONSTRAINT nlu_models_recall_range CHECK (out_of_scope_recall BETWEEN 0 AND 1),
    train_milliseconds int NOT NULL CONSTRAINT nlu_models_train_time CHECK (train_milliseconds >= 0),
    trained_at timestamptz NOT NULL,

    PRIMARY KEY (tenant_id, id),
    -- The newest version of an agent is read at every turn.
    CONSTRAINT nlu_models_once_per_version UNIQUE (tenant_id, agent_id, version),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES tenancy.agents (tenant_id, id) ON DELETE CASCADE
);

-- Weights do not compress, and are always read whole.
ALTER TABLE brain.nlu_models ALTER COLUMN model SET STORAGE EXTERNAL;

SELECT kernel.protect('brain.nlu_models');
