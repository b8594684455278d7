//! What a relay takes from the outbox, and what it writes back. A claim is a row lock: it ends with the transaction, so
//! nothing is left behind by a relay that dies, and the server ends the session of one that hangs.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{OutboxEvent, relay::BATCH};

/// Begins the transaction of a claim. While little waits, which is nearly always, the statistics say that nothing does, and
/// the planner takes any plan for a good one; with a backlog most of them read all of it for each event. These leave it the
/// one that reads events in their order and looks up each one's key.
pub(super) const BEGIN: &str =
    "BEGIN; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_seqscan = off";

/// Waiting events, the oldest ones, that are looked at one by one: those of this relay's batch, and of another's that has
/// claimed as many. Where more wait, it may be behind these, of few keys, that all of the rest waits.
const LOOKED_AT: i64 = 2 * BATCH;

/// Where what is looked at one by one ends.
const END: &str = "SELECT seq FROM outbox WHERE published_at IS NULL ORDER BY seq OFFSET $1 LIMIT 1";

/// The way `published_at` is asked for hides from the planner that the indexes of what waits would do for the inner part:
/// one of them finds a key and the other reads everything, and it cannot tell which.
const CLAIM: &str = "
    SELECT id, seq, topic, partition_key, payload, traceparent, attempts FROM outbox
    WHERE published_at IS NULL AND (retry_at IS NULL OR retry_at <= clock_timestamp()) AND seq < $2
      AND NOT EXISTS
          (SELECT FROM outbox AS earlier
           WHERE earlier.topic = outbox.topic AND earlier.partition_key = outbox.partition_key
             AND earlier.seq < outbox.seq AND coalesce(earlier.published_at, 'infinity') = 'infinity')
    ORDER BY seq LIMIT $1 FOR UPDATE OF outbox SKIP LOCKED";

/// Goes from key to key, whatever waits behind the oldest event of each; a step costs as much as some events that are looked
/// at one by one. The keys are not sorted by how old their events are: then all of them would have to be looked at.
const CLAIM_HEADS: &str = "
    WITH RECURSIVE heads AS (
        (SELECT id, topic, partition_key, seq, retry_at FROM outbox WHERE published_at IS NULL
         ORDER BY topic, partition_key, seq LIMIT 1)
        UNION ALL
        SELECT next.* FROM heads CROSS JOIN LATERAL
            (SELECT id, topic, partition_key, seq, retry_at FROM outbox
             WHERE published_at IS NULL AND (topic, partition_key) > (heads.topic, heads.partition_key)
             ORDER BY topic, partition_key, seq LIMIT 1) AS next)
    SELECT claimed.* FROM heads CROSS JOIN LATERAL
        (SELECT id, seq, topic, partition_key, payload, traceparent, attempts FROM outbox
         WHERE id = heads.id AND coalesce(published_at, 'infinity') = 'infinity'
           AND (retry_at IS NULL OR retry_at <= clock_timestamp()) FOR UPDATE SKIP LOCKED) AS claimed
    WHERE heads.seq >= $2 AND (heads.retry_at IS NULL OR heads.retry_at <= clock_timestamp()) LIMIT $1";

/// Claims the oldest waiting event of each of up to `limit` partition keys of a topic. Later events of a key wait until that
/// one is published, whoever does it; keys whose oldest event another relay has claimed, or is to be tried later, are
/// passed over.
pub(super) async fn claim(connection: &mut PgConnection, limit: i64) -> Result<Vec<OutboxEvent>, sqlx::Error> {
    let end: Option<i64> = sqlx::query_scalar(END).bind(LOOKED_AT).fetch_optional(&mut *connection).await?;
    let mut claimed: Vec<OutboxEvent> =
        sqlx::query_as(CLAIM).bind(limit).bind(end.unwrap_or(i64::MAX)).fetch_all(&mut *connection).await?;
    let left = limit - i64::try_from(claimed.len()).unwrap_or(limit);
    if let Some(end) = end
        && left > 0
    {
        claimed.extend(sqlx::query_as::<_, OutboxEvent>(CLAIM_HEADS).bind(left).bind(end).fetch_all(connection).await?);
    }
    Ok(claimed)
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

    /// Rows that a statement of a claim gives, and pages that it reads.
    async fn cost(connection: &mut PgConnection, statement: &str, parameters: [i64; 2]) -> (i64, i64) {
        let [first, second] = parameters.map(|parameter| parameter.to_string());
        let statement = statement.replace("$1", &first).replace("$2", &second);
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}");
        let plan: Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_one(connection).await.unwrap();
        let plan = &plan[0]["Plan"];
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number")]
        let rows = plan["Actual Rows"].as_f64().unwrap() as i64;
        (rows, plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap())
    }

    /// Pages that a claim of `limit` events reads, which gets as many.
    async fn pages(connection: &mut PgConnection, limit: i64) -> i64 {
        let end: Option<i64> = sqlx::query_scalar(END).bind(LOOKED_AT).fetch_optional(&mut *connection).await.unwrap();
        let (_, of_end) = cost(connection, END, [LOOKED_AT, 0]).await;
        let (looked_at, of_claim) = cost(connection, CLAIM, [limit, end.unwrap_or(i64::MAX)]).await;
        let (heads, of_heads) = match end {
            Some(end) if looked_at < limit => cost(connection, CLAIM_HEADS, [limit - looked_at, end]).await,
            _ => (0, 0),
        };
        assert_eq!(looked_at + heads, limit);
        of_end + of_claim + of_heads
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
            let pages_by_old_statistics = pages(&mut claim, 10).await;
            claim.execute("ANALYZE outbox").await.unwrap();
            let pages_by_new_statistics = pages(&mut claim, 10).await;
            for pages in [pages_by_old_statistics, pages_by_new_statistics] {
                assert!(pages < 200, "{pages_by_old_statistics} and {pages_by_new_statistics} pages");
            }
        })
        .await;
    }

    /// 1,000 keys whose oldest event is to be tried later, and events behind these.
    const BLOCKED: [&str; 2] = [
        "INSERT INTO outbox (id, topic, partition_key, payload, retry_at)
         SELECT gen_random_uuid(), 'task-events', 'blocked-' || n, '{}', now() + interval '1 hour' FROM generate_series(1, 1000) AS n",
        "INSERT INTO outbox (id, topic, partition_key, payload)
         SELECT gen_random_uuid(), 'task-events', 'blocked-' || (1 + n % 1000), '{}' FROM generate_series(1, 30000) AS n",
    ];
    /// What statistics say that were made while nothing waited.
    const QUIET: &str = "ALTER TABLE outbox SET (autovacuum_enabled = false); ANALYZE outbox";

    #[tokio::test]
    async fn whatever_waits_behind_blocked_keys_costs_nothing_and_free_keys_are_found_among_them() {
        for free in [300, 20_000] {
            with_database(|pool| async move {
                let mut claim = pool.begin_with(BEGIN).await.unwrap();
                claim.execute(QUIET).await.unwrap();
                for statement in BLOCKED {
                    claim.execute(statement).await.unwrap();
                }
                let free_keys = "INSERT INTO outbox (id, topic, partition_key, payload)
                    SELECT gen_random_uuid(), 'task-events', 'free-' || n, '{}' FROM generate_series(1, $1) AS n";
                sqlx::query(free_keys).bind(free).execute(&mut *claim).await.unwrap();
                let pages_by_old_statistics = pages(&mut claim, BATCH).await;
                claim.execute("ANALYZE outbox").await.unwrap();
                let pages_by_new_statistics = pages(&mut claim, BATCH).await;
                for pages in [pages_by_old_statistics, pages_by_new_statistics] {
                    // Four or five for each of 1,256 keys, and as many for each of 256 events.
                    assert!(pages < 10_000, "{free}: {pages_by_old_statistics} and {pages_by_new_statistics} pages");
                }
            })
            .await;
        }
    }

    #[tokio::test]
    async fn behind_blocked_keys_two_relays_find_different_keys_and_of_each_the_oldest_event() {
        with_database(|pool| async move {
            let mut c = pool.acquire().await.unwrap();
            for statement in BLOCKED {
                c.execute(statement).await.unwrap();
            }
            for key in ["a", "b", "a", "b"] {
                enqueue(&mut c, key).await;
            }
            let (mut one, mut two) = (pool.begin_with(BEGIN).await.unwrap(), pool.begin_with(BEGIN).await.unwrap());
            let (first, second) = (claim(&mut one, 1).await.unwrap(), claim(&mut two, 10).await.unwrap());
            let keys = |events: &[OutboxEvent]| -> Vec<String> {
                events.iter().map(|event| event.partition_key.clone()).collect()
            };
            assert_eq!((keys(&first), keys(&second)), (vec!["a".to_owned()], vec!["b".to_owned()]));
            assert_eq!(second[0].seq, first[0].seq + 1, "the oldest ones");
        })
        .await;
    }
}
