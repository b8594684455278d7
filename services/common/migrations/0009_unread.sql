-- On a table with many rows an index takes longer than a statement may usually take.
SET LOCAL statement_timeout = 0;

-- How many a user has not read, without a look at those that were.
CREATE INDEX notifications_unread ON notifications (user_id, visible_at, id) WHERE read_at IS NULL;
