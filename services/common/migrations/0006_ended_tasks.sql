-- On a table with many rows an index takes longer than a statement may usually take.
SET LOCAL statement_timeout = 0;

-- When a task was done with: what is removed a while after that is found without a look at the open ones.
CREATE INDEX tasks_ended ON tasks (coalesce(completed_at, deleted_at)) WHERE coalesce(completed_at, deleted_at) IS NOT NULL;
