//! Rows that nobody needs any more. The outbox is cleaned by its relay.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;

use crate::database::answered;

/// Pause between two rounds.
const CLEANING: Duration = Duration::from_mins(10);
/// The same of answers, most of which are kept for minutes.
const CLEANING_ANSWERS: Duration = Duration::from_mins(1);
/// Rows of one statement, so that none holds locks for long.
const AT_ONCE: u64 = 1000;

/// A table, and how [`AT_ONCE`] rows of it go at most.
type Old = (&'static str, &'static str);

const OLD: [Old; 5] = [
    // Older than any redelivery: the broker keeps events for seven days.
    (
        "inbox",
        "DELETE FROM inbox WHERE (consumer, event_id) IN
         (SELECT consumer, event_id FROM inbox WHERE received_at < now() - interval '8 days'
          ORDER BY received_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
    ),
    // Whoever wanted them back has had the time.
    (
        "dead_letters",
        "DELETE FROM dead_letters WHERE (topic, id) IN
         (SELECT topic, id FROM dead_letters WHERE received_at < now() - interval '30 days'
          ORDER BY received_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
    ),
    // Told long ago, of tasks that were done with long ago; should such a task come back, its past reminders stay so.
    (
        "task_reminders",
        // In the order of an index that has no open tasks; as an array, or all reminders would be read to find these.
        "DELETE FROM task_reminders WHERE id = ANY (ARRAY
         (SELECT reminder.id FROM tasks AS task JOIN task_reminders AS reminder ON reminder.task_id = task.id
          WHERE coalesce(task.completed_at, task.deleted_at) < now() - interval '30 days'
            AND reminder.claimed_at < now() - interval '30 days'
          ORDER BY coalesce(task.completed_at, task.deleted_at) LIMIT 1000 FOR UPDATE OF reminder SKIP LOCKED))",
    ),
    // They are not counted any more.
    (
        "confirmation_codes",
        "DELETE FROM confirmation_codes WHERE id IN
         (SELECT id FROM confirmation_codes WHERE sent_at < now() - interval '24 hours'
          ORDER BY sent_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
    ),
    (
        "channel_tests",
        "DELETE FROM channel_tests WHERE id IN
         (SELECT id FROM channel_tests WHERE sent_at < now() - interval '24 hours'
          ORDER BY sent_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
    ),
];

/// They are not looked at any more.
const ANSWERS: Old = (
    "idempotency_keys",
    "DELETE FROM idempotency_keys WHERE (user_id, key) IN
     (SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
      ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED)",
);

/// Removes old rows until it is dropped.
pub(crate) async fn keep_clean(pool: &PgPool) {
    tokio::join!(clean(pool, &OLD, CLEANING), clean(pool, &[ANSWERS], CLEANING_ANSWERS));
}

async fn clean(pool: &PgPool, old: &[Old], pause: Duration) {
    loop {
        for (table, statement) in old {
            if let Err(error) = remove(pool, statement).await {
                tracing::warn!(%error, table, "old rows were not removed");
            }
        }
        sleep(pause).await;
    }
}

/// Runs a statement until it finds no more.
async fn remove(pool: &PgPool, statement: &'static str) -> Result<(), sqlx::Error> {
    while answered(sqlx::query(statement).execute(pool)).await?.rows_affected() == AT_ONCE {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_database;

    /// Pages that it reads to remove the old reminders, of which there are fewer than it removes at once.
    async fn pages_of_reminders(pool: &PgPool) -> i64 {
        let (_, statement) = OLD.iter().find(|(table, _)| *table == "task_reminders").unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"));
        let plan: serde_json::Value = sqlx::query_scalar(explain).fetch_one(pool).await.unwrap();
        let pages = |key: &str| plan[0]["Plan"][key].as_i64().unwrap();
        pages("Shared Hit Blocks") + pages("Shared Read Blocks")
    }

    #[tokio::test]
    async fn old_reminders_of_open_tasks_are_not_read() {
        with_database(|pool| async move {
            let tasks = "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at, completed_at)
                SELECT gen_random_uuid(), 'ada', 'a', now(), now(), now(), CASE WHEN n > 20000 THEN now() - interval '31 days' END
                FROM generate_series(1, $1) AS n";
            let told = "INSERT INTO task_reminders
                SELECT gen_random_uuid(), id, now(), now() - interval '40 days' FROM tasks ON CONFLICT DO NOTHING";
            // Looked at in the moment when it is empty, a table would be taken for one of few rows.
            for table in ["tasks", "task_reminders"] {
                let statistics_stay = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
                sqlx::query(sqlx::AssertSqlSafe(statistics_stay)).execute(&pool).await.unwrap();
            }
            sqlx::query(tasks).bind(20_000).execute(&pool).await.unwrap();
            for statement in [told, "ANALYZE tasks", "ANALYZE task_reminders"] {
                sqlx::query(statement).execute(&pool).await.unwrap();
            }
            let of_nothing = pages_of_reminders(&pool).await;
            assert!(of_nothing < 20, "{of_nothing} pages");
            sqlx::query("DELETE FROM task_reminders").execute(&pool).await.unwrap();
            sqlx::query(tasks).bind(20_500).execute(&pool).await.unwrap();
            sqlx::query(told).execute(&pool).await.unwrap();
            let of_some = pages_of_reminders(&pool).await;
            assert!(of_some < 500 * 15, "{of_some} pages");
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM task_reminders").fetch_one(&pool).await.unwrap();
            assert_eq!(left, 40_000);
        })
        .await;
    }

    #[tokio::test]
    async fn old_rows_go_and_young_ones_stay() {
        with_database(|pool| async move {
            for rows in [
                "INSERT INTO inbox SELECT 'one', n::text, now() - interval '9 days' FROM generate_series(1, 1500) AS n",
                "INSERT INTO inbox VALUES ('one', 'young', now() - interval '7 days')",
                "INSERT INTO dead_letters SELECT n::text, 'reminders', '{}', NULL, now() - interval '31 days'
                 FROM generate_series(1, 1500) AS n",
                "INSERT INTO dead_letters VALUES ('young', 'reminders', '{}', NULL, now() - interval '29 days')",
                "INSERT INTO tasks (id, user_id, title, due_sort, created_at, updated_at, completed_at)
                 SELECT gen_random_uuid(), 'ada', 'a', now(), now(), now(), done
                 FROM unnest(ARRAY[now() - interval '31 days', NULL]) AS done",
                "INSERT INTO task_reminders SELECT gen_random_uuid(), id, now(), now() - interval '40 days' FROM tasks",
                "INSERT INTO idempotency_keys SELECT 'ada', n::text, '', 200, '[]', '', now() - interval '25 hours'
                 FROM generate_series(1, 1500) AS n",
                "INSERT INTO idempotency_keys VALUES ('ada', 'young', '', 200, '[]', '', now() - interval '23 hours')",
                "INSERT INTO confirmation_codes SELECT gen_random_uuid(), 'ada', 'ada@example.org', now() - interval '25 hours'
                 FROM generate_series(1, 1500) AS n",
                "INSERT INTO confirmation_codes VALUES (gen_random_uuid(), 'ada', 'ada@example.org', now() - interval '23 hours')",
                "INSERT INTO channel_tests SELECT gen_random_uuid(), 'ada', 'topic', NULL, now() - interval '25 hours'
                 FROM generate_series(1, 1500) AS n",
                "INSERT INTO channel_tests VALUES (gen_random_uuid(), 'ada', 'topic', NULL, now() - interval '23 hours')",
            ] {
                sqlx::query(rows).execute(&pool).await.unwrap();
            }
            for (table, statement) in OLD.into_iter().chain([ANSWERS]) {
                remove(&pool, statement).await.unwrap();
                let left = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&pool).await.unwrap(), 1, "{table}");
            }
        })
        .await;
    }
}
