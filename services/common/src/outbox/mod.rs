//! Events that wait for the broker. They are written in the transaction of the change that they tell of.

pub(crate) mod broker;
mod claim;
pub(crate) mod feed;
pub(crate) mod news;
mod position;
pub mod relay;

use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

pub use broker::Broker;
pub use feed::{Change, Feed, Told};
pub use news::Waiter;
pub use position::{NoPosition, Position};

use crate::{dapr, tasks::UserId, telemetry::trace_context};

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct OutboxEvent {
    /// Also the CloudEvent's id.
    pub id: Uuid,
    /// Order within one partition key.
    pub seq: i64,
    /// Where to.
    pub topic: String,
    /// Events with the same key keep their order.
    pub partition_key: String,
    /// The CloudEvent's data.
    pub payload: Value,
    /// Trace of the request that caused it.
    pub traceparent: Option<String>,
    /// Failed tries so far.
    pub attempts: i32,
}

impl OutboxEvent {
    /// Whether it is the canary's, which no metric counts.
    pub(crate) fn is_canary(&self) -> bool {
        self.payload.get("user_id").and_then(Value::as_str) == Some(UserId::canary().as_str())
    }

    /// As the sidecar wants it; `id` is the text of its id.
    fn for_dapr<'a>(&'a self, id: &'a str) -> dapr::Event<'a> {
        dapr::Event {
            id,
            partition_key: &self.partition_key,
            traceparent: self.traceparent.as_deref(),
            data: &self.payload,
        }
    }
}

/// Writes an event in the caller's transaction and gives its id. Whoever commits wakes the relays by
/// [`crate::database::Database::commit`].
pub async fn enqueue(
    connection: &mut PgConnection,
    topic: &str,
    partition_key: &str,
    event_id: Option<Uuid>,
    payload: &(impl Serialize + Sync),
) -> Result<Uuid, sqlx::Error> {
    let id = event_id.unwrap_or_else(Uuid::now_v7);
    sqlx::query("INSERT INTO outbox (id, topic, partition_key, payload, traceparent) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(topic)
        .bind(partition_key)
        .bind(sqlx::types::Json(payload))
        .bind(trace_context::current())
        .execute(connection)
        .await?;
    Ok(id)
}

/// An event that is to be written with others, each of another trace.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Events with the same key keep their order.
    pub partition_key: String,
    /// The CloudEvent's data.
    pub payload: T,
    /// Trace of what caused it; a malformed one is left out.
    pub traceparent: Option<String>,
}

/// Writes events of one topic in their order, all by one statement. The same as [`enqueue`] otherwise.
pub async fn enqueue_all<T: Serialize + Sync>(
    connection: &mut PgConnection,
    topic: &str,
    entries: &[Entry<T>],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outbox (id, topic, partition_key, payload, traceparent)
         SELECT id, $2, partition_key, payload, traceparent
         FROM unnest($1::uuid[], $3::text[], $4::jsonb[], $5::text[]) AS entry (id, partition_key, payload, traceparent)",
    )
    .bind(entries.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind(topic)
    .bind(entries.iter().map(|entry| entry.partition_key.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| sqlx::types::Json(&entry.payload)).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| trace_context::well_formed(entry.traceparent.as_deref())).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}
