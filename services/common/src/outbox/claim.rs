//! What a relay takes from the outbox, and what it writes back. A claim is a row lock: it ends with the transaction, so
//! nothing is left behind by a relay that dies, and the server ends the session of one that hangs.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::OutboxEvent;

/// Claims the oldest waiting event of each of up to `limit` partition keys of a topic. Later events of a key wait until that
/// one is published, whoever does it; keys whose oldest event another relay has claimed, or is to be tried later, are
/// passed over.
pub(super) async fn claim(connection: &mut PgConnection, limit: i64) -> Result<Vec<OutboxEvent>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, seq, topic, partition_key, payload, traceparent, attempts FROM outbox
         WHERE published_at IS NULL AND (retry_at IS NULL OR retry_at <= clock_timestamp())
           AND NOT EXISTS
               (SELECT FROM outbox AS earlier
                WHERE earlier.topic = outbox.topic AND earlier.partition_key = outbox.partition_key
                  AND earlier.seq < outbox.seq AND earlier.published_at IS NULL)
         ORDER BY seq LIMIT $1 FOR UPDATE OF outbox SKIP LOCKED",
    )
    .bind(limit)
    .fetch_all(connection)
    .await
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
