//! Events that could not be handled, kept where a person finds them.

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    database::Database,
    events::{CloudEvent, Reply},
};

/// Route to subscribe dead-letter topics with.
pub const ROUTE: &str = "/dead-letters";

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

/// `POST /dead-letters`: keeps what arrives on the dead-letter topic of this service. `topic` is where it was published first.
pub fn router(database: Database, topic: &'static str) -> Router {
    Router::new().route(ROUTE, post(receive)).with_state((database, topic))
}

async fn receive(State((database, topic)): State<(Database, &'static str)>, body: Bytes) -> Reply {
    let event = CloudEvent::<Value>::parse(&body).unwrap_or_else(|_| CloudEvent::bare(&body, unreadable(&body)));
    let Ok(pool) = database.pool() else { return Reply::Retry };
    let kept = async {
        let mut connection = pool.acquire().await?;
        store(&mut connection, &event.id, topic, &event.data, None).await
    };
    match kept.await {
        Ok(()) => {
            metrics::counter!("dead_letters_total", "topic" => topic).increment(1);
            tracing::error!(event_id = event.id, topic, "an event could not be handled and is kept in dead_letters");
            Reply::Success
        }
        Err(error) => {
            tracing::warn!(%error, topic, "a dead letter could not be kept yet");
            Reply::Retry
        }
    }
}

/// What is no JSON is kept as text; PostgreSQL's JSON cannot hold the character zero.
fn unreadable(body: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(body).replace('\0', "\u{fffd}"))
}
