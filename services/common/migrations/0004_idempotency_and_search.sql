-- On a table with many rows an index takes longer than a statement may usually take.
SET LOCAL statement_timeout = 0;

-- What was answered to requests with an Idempotency-Key, in the transaction of their effect. Kept for a day.
CREATE TABLE idempotency_keys (
    user_id     text NOT NULL,
    key         text NOT NULL,
    -- Hash of the request: another one must not come with the same key.
    fingerprint bytea NOT NULL,
    status      smallint NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_keys_old ON idempotency_keys (created_at);

-- The words of titles and notes. An index of an expression and no column: rows stay as small as they are, and no table is rewritten.
CREATE INDEX tasks_by_word ON tasks USING gin (to_tsvector('simple', title || ' ' || coalesce(notes, ''))) WHERE deleted_at IS NULL;
