-- Where users want to be told beside the list on the page, and what became of each telling.

CREATE TABLE channels (
    id              uuid PRIMARY KEY,
    user_id         text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('web_push', 'webhook', 'email', 'ntfy')),
    name            text NOT NULL,
    -- Push endpoint, URL, address or topic. It never changes, so a delivery goes where it was meant to go.
    target          text NOT NULL,
    -- Never shown: a webhook's signing secret, a token of ntfy, the keys of a subscription, the code of an unconfirmed address.
    secret          text,
    enabled         boolean NOT NULL DEFAULT true,
    -- Why the service itself switched it off.
    disabled_reason text,
    -- False until the owner of an e-mail address has shown that the address is theirs.
    confirmed       boolean NOT NULL,
    wrong_codes     smallint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, kind, target)
);

-- A browser has one subscription, whoever uses it.
CREATE UNIQUE INDEX channels_of_browsers ON channels (target) WHERE kind = 'web_push';

CREATE TABLE deliveries (
    id              uuid PRIMARY KEY,
    user_id         text NOT NULL,
    channel_id      uuid NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    -- None for the code that confirms an e-mail address.
    notification_id uuid REFERENCES notifications (id) ON DELETE CASCADE,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed', 'cancelled')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    -- While it is later than now, somebody is sending it.
    claimed_until   timestamptz,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    UNIQUE (notification_id, channel_id)
);

CREATE INDEX deliveries_waiting    ON deliveries (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_channel ON deliveries (channel_id, next_attempt_at, id);
CREATE INDEX deliveries_by_user    ON deliveries (user_id, created_at DESC, id DESC);
CREATE INDEX deliveries_old        ON deliveries (created_at);
CREATE INDEX notifications_old     ON notifications (visible_at);
