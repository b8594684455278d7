-- Which codes were sent to which e-mail address, for whom: an address may be a stranger's, so there are not many in a day. Rows
-- stay when their channel is deleted, and go after a day.
CREATE TABLE confirmation_codes (
    id      uuid PRIMARY KEY,
    user_id text NOT NULL,
    -- In small letters, and without what stands after a plus: one mailbox is one address.
    address text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX confirmation_codes_by_user    ON confirmation_codes (user_id, sent_at);
CREATE INDEX confirmation_codes_by_address ON confirmation_codes (address, sent_at);
CREATE INDEX confirmation_codes_old        ON confirmation_codes (sent_at);
