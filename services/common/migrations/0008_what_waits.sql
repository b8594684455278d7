-- On a table with many rows an index takes longer than a statement may usually take.
SET LOCAL statement_timeout = 0;

-- Lists of open tasks, which are few, without a look at the completed ones; and those completed at last.
CREATE INDEX tasks_open_by_due      ON tasks (user_id, due_sort, id)   WHERE deleted_at IS NULL AND completed_at IS NULL;
CREATE INDEX tasks_open_by_creation ON tasks (user_id, created_at, id) WHERE deleted_at IS NULL AND completed_at IS NULL;
CREATE INDEX tasks_completed        ON tasks (user_id, updated_at, id) WHERE deleted_at IS NULL AND completed_at IS NOT NULL;

-- What waits first in each channel, without a look at what was sent.
CREATE INDEX deliveries_heads ON deliveries (channel_id, next_attempt_at, id) WHERE state = 'waiting';

-- Which tests were sent to which target, for whom: it may be a stranger's, so there are not many at once. Rows stay when their
-- channel is deleted, and go after a day.
CREATE TABLE channel_tests (
    id      uuid PRIMARY KEY,
    user_id text NOT NULL,
    -- URL, endpoint, topic, or mailbox as in confirmation_codes.
    target  text NOT NULL,
    -- Of webhooks.
    host    text,
    sent_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX channel_tests_by_user   ON channel_tests (user_id, sent_at);
CREATE INDEX channel_tests_by_target ON channel_tests (target, sent_at);
CREATE INDEX channel_tests_by_host   ON channel_tests (host, sent_at) WHERE host IS NOT NULL;
CREATE INDEX channel_tests_old       ON channel_tests (sent_at);
