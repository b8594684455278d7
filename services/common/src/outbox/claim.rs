//! What a relay takes from the outbox, and what it writes back. A claim is a row lock: it ends with the transaction, so
//! nothing is left behind by a relay that dies, and the server ends the session of one that hangs.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::OutboxEvent;

/// Begins the transaction of a claim. While little waits, which is nearly always, the statistics say that nothing does, and
/// the planner takes any plan for a good one; with a backlog most of them read all of it for each event. These leave it the
/// one that reads events in their order and looks up each one's key.
pub(super) const BEGIN: &str =
    "BEGIN; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off";

/// The way `published_at` is asked for hides from the planner that the indexes of what waits would do for the inner part:
/// one of them finds a key and the other reads everything, and it cannot tell which.
pub(super) const CLAIM: &str = "
    SELECT id, seq, topic, partition_key, payload, traceparent, attempts FROM outbox
    WHERE published_at IS NULL AND (retry_at IS NULL OR retry_at <= clock_timestamp())
      AND NOT EXISTS
          (SELECT FROM outbox AS earlier
           WHERE earlier.topic = outbox.topic AND earlier.partition_key = outbox.partition_key
             AND earlier.seq < outbox.seq AND coalesce(earlier.published_at, 'infinity') = 'infinity')
    ORDER BY seq LIMIT $1 FOR UPDATE OF outbox SKIP LOCKED";

/// Claims the oldest waiting event of each of up to `limit` partition keys of a topic. Later events of a key wait until that
/// one is published, whoever does it; keys whose oldest event another relay has claimed, or is to be tried later, are
/// passed over.
pub(super) async fn claim(connection: &mut PgConnection, limit: i64) -> Result<Vec<OutboxEvent>, sqlx::Error> {
    sqlx::query_as(CLAIM).bind(limit).fetch_all(connection).await
}

/// Marks what the broker has acknowledged.
pub(super) async fn mark_published(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("UPDATE outbox SET published_at = clock_timestamp(), attempts = attempts + 1, last_error = NULL WHERE id = ANY ($1)")
        .bind(ids)
        .execute(connection)
        .await
        .map(drop)
}

/// Keeps why it failed, and lets the event wait: 0.2 s at first, 5 s at most, so that all of it flows soon after the broker is back.
pub(super) async fn mark_failed(
    connection: &mut PgConnection,
    failed: &HashMap<Uuid, String>,
) -> Result<(), sqlx::Error> {
    if failed.is_empty() {
        return Ok(());
    }
    let (ids, errors): (Vec<Uuid>, Vec<&str>) = failed.iter().map(|(id, error)| (*id, error.as_str())).unzip();
    sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, last_error = failed.error,
             retry_at = clock_timestamp() + least(0.2 * 2 ^ least(attempts, 10), 5) * interval '1 second'
         FROM unnest($1::uuid[], $2::text[]) AS failed (id, error) WHERE outbox.id = failed.id",
    )
    .bind(ids)
    .bind(errors)
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sqlx::Executor;

    use super::*;
    use crate::testing::with_database;

    /// Pages that a claim of ten events reads.
    async fn pages(connection: &mut PgConnection) -> i64 {
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}", CLAIM.replace("$1", "10"));
        let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(connection).await.unwrap();
        let plan = &plan[0]["Plan"];
        assert_eq!(plan["Actual Rows"].as_f64(), Some(10.0));
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap()
    }

    async fn enqueue(connection: &mut PgConnection, key: &str) {
        crate::outbox::enqueue(connection, "task-events", key, None, &serde_json::json!({})).await.unwrap();
    }

    #[tokio::test]
    async fn what_one_relay_has_claimed_and_what_comes_after_it_are_passed_over_by_another() {
        with_database(|pool| async move {
            let mut c = pool.acquire().await.unwrap();
            for key in ["a", "a", "b"] {
                enqueue(&mut c, key).await;
            }
            let (mut one, mut two) = (pool.begin_with(BEGIN).await.unwrap(), pool.begin_with(BEGIN).await.unwrap());
            let keys = async |connection: &mut PgConnection, limit| -> Vec<String> {
                let claimed = claim(connection, limit).await.unwrap();
                claimed.into_iter().map(|event| event.partition_key).collect()
            };
            assert_eq!(keys(&mut one, 1).await, ["a"]);
            assert_eq!(keys(&mut two, 10).await, ["b"]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_claim_reads_about_as_much_as_it_takes_whatever_waits_and_whatever_the_statistics_say() {
        with_database(|pool| async move {
            let mut claim = pool.begin_with(BEGIN).await.unwrap();
            for statement in [
                "ALTER TABLE outbox SET (autovacuum_enabled = false)",
                "INSERT INTO outbox (id, topic, partition_key, payload, published_at)
                 SELECT gen_random_uuid(), 'task-events', n::text, '{}', now() FROM generate_series(1, 50) AS n",
                "ANALYZE outbox",
                "INSERT INTO outbox (id, topic, partition_key, payload)
                 SELECT gen_random_uuid(), 'task-events', (n % 10000)::text, '{}' FROM generate_series(1, 20000) AS n",
            ] {
                claim.execute(statement).await.unwrap();
            }
            let pages_by_old_statistics = pages(&mut claim).await;
            claim.execute("ANALYZE outbox").await.unwrap();
            let pages_by_new_statistics = pages(&mut claim).await;
            for pages in [pages_by_old_statistics, pages_by_new_statistics] {
                assert!(pages < 200, "{pages_by_old_statistics} and {pages_by_new_statistics} pages");
            }
        })
        .await;
    }
}
