-- Lists show the newest first, and the oldest go first.
CREATE INDEX dead_letters_by_age ON dead_letters (topic, received_at DESC, id);
CREATE INDEX dead_letters_old    ON dead_letters (received_at);
