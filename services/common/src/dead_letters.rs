//! Events that could not be handled: tried once more, because what was in the way may be gone, and then kept where a person
//! finds them.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::StatusCode,
    routing::post,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::{
    database::Database,
    events::{CloudEvent, Reply},
    problem::Problem,
    tasks::UserId,
};

/// Route to subscribe dead-letter topics with.
pub const ROUTE: &str = "/dead-letters";
/// Largest body: the largest message that the broker takes (4 MiB), in its envelope.
const LIMIT: usize = 5 * 1024 * 1024;

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

/// `POST /dead-letters`: gives what arrives on the dead-letter topic of this service to `handle`, which is the service's own
/// way to handle it, and keeps what that refuses. `topic` is where it was published first.
pub fn router<T, F>(
    database: Database,
    topic: &'static str,
    handle: impl Fn(Database, CloudEvent<T>) -> F + Clone + Send + Sync + 'static,
) -> Router
where
    T: DeserializeOwned + Send + 'static,
    F: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let receive = async move |State(database): State<Database>, body: Result<Bytes, BytesRejection>| {
        let body = match body {
            Ok(body) => body,
            Err(error) => return untaken(&error, topic),
        };
        if is_canarys(&body) {
            return Reply::Success;
        }
        match again(&database, &body, handle).await {
            Ok(()) => Reply::Success,
            Err(None) => Reply::Retry,
            Err(Some(error)) => keep(&database, topic, &body, &error).await,
        }
    };
    Router::new().route(ROUTE, post(receive)).layer(DefaultBodyLimit::max(LIMIT)).with_state(database)
}

/// What cannot be read will not be so at the next time, and would hold up what comes after it.
fn untaken(error: &BytesRejection, topic: &'static str) -> Reply {
    tracing::error!(%error, topic, "the body of a dead letter cannot be taken");
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE { Reply::Drop } else { Reply::Retry }
}

/// Nobody waits for the canary any more, and another one is under way.
fn is_canarys(body: &[u8]) -> bool {
    let canary = UserId::canary();
    CloudEvent::<Value>::parse(body)
        .is_ok_and(|event| event.data.get("user_id").and_then(Value::as_str) == Some(canary.as_str()))
}

/// Handles the event once more. The error is why it cannot be handled, or nothing if it can perhaps later.
async fn again<T: DeserializeOwned, F: Future<Output = Result<(), Problem>>>(
    database: &Database,
    body: &[u8],
    handle: impl Fn(Database, CloudEvent<T>) -> F,
) -> Result<(), Option<String>> {
    // Not serde's own text, which quotes the payload.
    let event = CloudEvent::parse(body).map_err(|_| Some("it cannot be read".to_owned()))?;
    handle(database.clone(), event).await.map_err(|problem| (!problem.is_away()).then(|| problem.sentence()))
}

async fn keep(database: &Database, topic: &'static str, body: &[u8], reason: &str) -> Reply {
    let event = CloudEvent::<Value>::parse(body).unwrap_or_else(|_| CloudEvent::bare(body, unreadable(body)));
    let Ok(pool) = database.pool() else { return Reply::Retry };
    match store_payload_or_text(&pool, topic, &event, body, reason).await {
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

/// Keeps the payload, or the text of the event where PostgreSQL's JSON cannot hold that.
async fn store_payload_or_text(
    pool: &PgPool,
    topic: &str,
    event: &CloudEvent<Value>,
    body: &[u8],
    reason: &str,
) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    match store(&mut connection, &event.id, topic, &event.data, Some(reason)).await {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
            store(&mut connection, &event.id, topic, &unreadable(body), Some(reason)).await
        }
        result => result,
    }
}

/// What is no JSON is kept as text; PostgreSQL's JSON cannot hold the character zero.
fn unreadable(body: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(body).replace('\0', "\u{fffd}"))
}
