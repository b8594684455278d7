//! Events that could not be handled, kept where a person finds them, can look at them, and has them handled or thrown away.

mod arrival;
mod manage;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};

use crate::cursor;

pub(crate) use arrival::{router, subscription};
pub use manage::management;

/// Route to subscribe dead-letter topics with.
pub(crate) const ROUTE: &str = "/dead-letters";

/// A row of `dead_letters`.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow)]
pub struct DeadLetter {
    /// The event's id.
    pub id: String,
    /// Where it was published first.
    pub topic: String,
    /// Why it could not be handled.
    pub error: Option<String>,
    /// When it was given up.
    pub received_at: DateTime<Utc>,
    /// Its data, or the text of what was no event.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub payload: Value,
}

/// Where a page of them ended.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    received_at: DateTime<Utc>,
    id: String,
}

impl Place {
    /// For a URL.
    fn encode(&self) -> String {
        cursor::opaque(&format!("{} {}", self.received_at.timestamp_micros(), self.id))
    }

    /// Back again; nothing if it was made up.
    fn decode(text: &str) -> Option<Self> {
        let text = cursor::clear(text)?;
        let (at, id) = text.split_once(' ')?;
        Some(Self { received_at: DateTime::from_timestamp_micros(at.parse().ok()?)?, id: id.to_owned() })
    }
}

/// Keeps an event once, however often it comes.
pub async fn store(
    connection: &mut PgConnection,
    id: &str,
    topic: &str,
    payload: &Value,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dead_letters (id, topic, payload, error) VALUES ($1, $2, $3, $4) ON CONFLICT (topic, id) DO NOTHING",
    )
    .bind(id)
    .bind(topic)
    .bind(payload)
    .bind(error)
    .execute(connection)
    .await
    .map(drop)
}

/// Those of a topic after a place, the newest first, without their payloads, which may be large.
async fn list(
    connection: &mut PgConnection,
    topic: &str,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, topic, error, received_at, 'null'::jsonb AS payload FROM dead_letters
         WHERE topic = $1 AND ($2::timestamptz IS NULL OR received_at < $2 OR (received_at = $2 AND id > $3))
         ORDER BY received_at DESC, id LIMIT $4",
    )
    .bind(topic)
    .bind(after.map(|after| after.received_at))
    .bind(after.map(|after| after.id.as_str()))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
}

async fn get(connection: &mut PgConnection, topic: &str, id: &str) -> Result<Option<DeadLetter>, sqlx::Error> {
    sqlx::query_as("SELECT id, topic, error, received_at, payload FROM dead_letters WHERE topic = $1 AND id = $2")
        .bind(topic)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// Whether it was there.
async fn remove(connection: &mut PgConnection, topic: &str, id: &str) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM dead_letters WHERE topic = $1 AND id = $2").bind(topic).bind(id);
    Ok(removed.execute(connection).await?.rows_affected() > 0)
}

async fn note_error(connection: &mut PgConnection, topic: &str, id: &str, error: &str) -> Result<(), sqlx::Error> {
    let note = sqlx::query("UPDATE dead_letters SET error = $3 WHERE topic = $1 AND id = $2");
    note.bind(topic).bind(id).bind(error).execute(connection).await.map(drop)
}
