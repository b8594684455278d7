-- Everything of the platform in one schema. Dapr's state store makes its own tables (state, dapr_metadata) beside these.

CREATE TABLE platform_claim (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    namespace  text NOT NULL,
    name       text NOT NULL,
    uid        text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tasks (
    id             uuid PRIMARY KEY,
    user_id        text NOT NULL,
    title          text NOT NULL,
    notes          text,
    priority       smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 4),
    tags           text[] NOT NULL DEFAULT '{}',
    due_at         timestamptz,
    due_date       date,
    -- What lists sort and filter by: the instant at which it is due, the end of the day for a date, a far year for none.
    due_sort       timestamptz NOT NULL,
    time_zone      text NOT NULL DEFAULT 'UTC',
    recurrence     jsonb,
    -- What the user wrote; the instants are in task_reminders.
    reminders      jsonb NOT NULL DEFAULT '[]',
    completed_at   timestamptz,
    deleted_at     timestamptz,
    -- The occurrences of a recurring task are rows of one series.
    series_id      uuid,
    occurrence_key text,
    -- Due time or date of the first occurrence: where the rule starts to count.
    series_start   jsonb,
    -- The occurrence whose completion made this one.
    spawned_by     uuid,
    -- Deleted because that completion was undone, not by the user.
    undone         boolean NOT NULL DEFAULT false,
    version        bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CHECK (due_at IS NULL OR due_date IS NULL),
    CHECK ((series_id IS NULL) = (occurrence_key IS NULL)),
    UNIQUE (series_id, occurrence_key)
);

CREATE INDEX tasks_by_due      ON tasks (user_id, due_sort, id)            WHERE deleted_at IS NULL;
CREATE INDEX tasks_by_creation ON tasks (user_id, created_at, id)          WHERE deleted_at IS NULL;
CREATE INDEX tasks_by_tag      ON tasks USING gin (tags)                   WHERE deleted_at IS NULL;
CREATE INDEX tasks_deleted     ON tasks (user_id, deleted_at, id)          WHERE deleted_at IS NOT NULL;
CREATE INDEX tasks_spawned     ON tasks (spawned_by)                       WHERE spawned_by IS NOT NULL;

CREATE TABLE task_reminders (
    id         uuid PRIMARY KEY,
    task_id    uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    remind_at  timestamptz NOT NULL,
    -- Set in the transaction that writes the reminder's outbox row.
    claimed_at timestamptz,
    UNIQUE (task_id, remind_at)
);

CREATE INDEX task_reminders_waiting ON task_reminders (remind_at) WHERE claimed_at IS NULL;

CREATE TABLE outbox (
    id            uuid PRIMARY KEY,
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    -- Lets a feed find what was committed since it last looked; seq alone cannot, because numbers are taken before commits.
    xid           xid8 NOT NULL DEFAULT pg_current_xact_id(),
    topic         text NOT NULL,
    partition_key text NOT NULL,
    payload       jsonb NOT NULL,
    traceparent   text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    retry_at      timestamptz,
    last_error    text
);

CREATE INDEX outbox_waiting   ON outbox (seq)           WHERE published_at IS NULL;
-- Whether an earlier event of the same key waits.
CREATE INDEX outbox_heads     ON outbox (topic, partition_key, seq) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at)  WHERE published_at IS NOT NULL;
CREATE INDEX outbox_by_xid    ON outbox (xid);
CREATE INDEX outbox_by_key    ON outbox (partition_key);

CREATE TABLE inbox (
    consumer    text NOT NULL,
    event_id    text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);

CREATE INDEX inbox_old ON inbox (received_at);

CREATE TABLE notifications (
    id          uuid PRIMARY KEY,
    user_id     text NOT NULL,
    task_id     uuid,
    -- The reminder that it shows, where it shows one: no reminder is shown twice.
    reminder_id uuid UNIQUE,
    title       text NOT NULL,
    message     text NOT NULL,
    method      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Not shown before.
    visible_at  timestamptz NOT NULL,
    read_at     timestamptz
);

CREATE INDEX notifications_by_user   ON notifications (user_id, visible_at DESC, id DESC);
CREATE INDEX notifications_by_task   ON notifications (task_id)             WHERE task_id IS NOT NULL;

CREATE TABLE dead_letters (
    id          text NOT NULL,
    topic       text NOT NULL,
    payload     jsonb NOT NULL,
    error       text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);

CREATE TABLE canary (
    task_id    uuid PRIMARY KEY,
    sent_at    timestamptz NOT NULL DEFAULT now(),
    arrived_at timestamptz
);
