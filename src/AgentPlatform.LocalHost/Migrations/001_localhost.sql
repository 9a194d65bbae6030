-- State of the local runtime. On Azure the Functions host keeps the same in its storage account.

CREATE TABLE localhost.keys (
    scope       text NOT NULL,
    name        text NOT NULL,
    hash        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, name),
    CONSTRAINT keys_hash_is_sha256 CHECK (length(hash) = 32)
);

CREATE TABLE localhost.queue_messages (
    id             uuid PRIMARY KEY,
    queue          text NOT NULL,
    body           text NOT NULL,
    dequeue_count  integer NOT NULL DEFAULT 0,
    pop_receipt    uuid NOT NULL,
    visible_at     timestamptz NOT NULL,
    inserted_at    timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    CONSTRAINT queue_messages_queue_name CHECK (queue ~ '^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$')
);
-- Receive: the due messages of one queue, oldest first.
CREATE INDEX queue_messages_due ON localhost.queue_messages (queue, visible_at, id);
-- Sweep: messages nobody took in time.
CREATE INDEX queue_messages_expired ON localhost.queue_messages (expires_at);

CREATE TABLE localhost.timers (
    name          text PRIMARY KEY,
    schedule      text NOT NULL,
    last_at       timestamptz,
    next_at       timestamptz NOT NULL,
    status_at     timestamptz NOT NULL,
    owner         uuid,
    lease_until   timestamptz,
    CONSTRAINT timers_lease_is_whole CHECK ((owner IS NULL) = (lease_until IS NULL))
);
