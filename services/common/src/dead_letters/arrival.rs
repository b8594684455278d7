//! `POST /dead-letters`: what arrives on the consumer's dead-letter topic is tried once more, because what was in the way may
//! be gone, and kept if it cannot be handled even now.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::StatusCode,
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgPool;

use super::{ROUTE, store};
use crate::{
    consumer::{self, Consumer},
    database::Database,
    events::{CloudEvent, Reply, Subscription},
    tasks::UserId,
};

/// Largest body: the largest message that the broker takes (4 MiB) in base64, in its envelope.
const LIMIT: usize = 6 * 1024 * 1024;

/// What the sidecar is to deliver: records as they are. It delivers nothing else but JSON objects, and nothing is behind this
/// topic: what it could not deliver would hold up its partition for ever.
pub(crate) const fn subscription<C: Consumer>() -> Subscription {
    // Not in batches: the sidecar hands over one at a time of all topics that it has in batches, so that a dead letter that has to
    // wait would hold up what comes after it on the others, too.
    Subscription::new(C::DEAD_LETTERS, ROUTE).raw()
}

/// The route, for the sidecar alone.
pub(crate) fn router<C: Consumer>(database: Database) -> Router {
    kept(C::TOPIC).increment(0);
    Router::new().route(ROUTE, post(receive::<C>)).layer(DefaultBodyLimit::max(LIMIT)).with_state(database)
}

async fn receive<C: Consumer>(State(database): State<Database>, body: Result<Bytes, BytesRejection>) -> Reply {
    let body = match body {
        Ok(body) => body,
        Err(error) => return untaken(&error, C::TOPIC),
    };
    let body = unwrapped::<C>(body);
    if is_canarys(&body) {
        return Reply::Success;
    }
    match again::<C>(&database, &body).await {
        Ok(()) => Reply::Success,
        Err(None) => Reply::Retry,
        Err(Some(error)) => keep(&database, C::TOPIC, &body, &error).await,
    }
}

/// What the sidecar makes of a record: an envelope of its own, with another id each time.
#[derive(Deserialize)]
struct Wrapped {
    topic: String,
    data_base64: String,
}

/// The record as it is in the topic. What somebody else posts has no envelope of that topic.
fn unwrapped<C: Consumer>(body: Bytes) -> Bytes {
    let wrapped = serde_json::from_slice::<Wrapped>(&body).ok().filter(|wrapped| wrapped.topic == C::DEAD_LETTERS);
    wrapped.and_then(|wrapped| BASE64_STANDARD.decode(wrapped.data_base64).ok()).map_or(body, Bytes::from)
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
async fn again<C: Consumer>(database: &Database, body: &[u8]) -> Result<(), Option<String>> {
    // Not serde's own text, which quotes the payload.
    let event = CloudEvent::parse(body).map_err(|_| Some("it cannot be read".to_owned()))?;
    let handled = consumer::apply::<C>(database, &[&event]).await;
    // One that always takes too long would hold up its partition for ever. Where it is the database, it cannot be kept either.
    handled.map_err(|problem| (!problem.is_away() || problem.is_slow()).then(|| problem.sentence()))
}

async fn keep(database: &Database, topic: &'static str, body: &[u8], reason: &str) -> Reply {
    let event = CloudEvent::<Value>::parse(body).unwrap_or_else(|_| CloudEvent::bare(body, unreadable(body)));
    let Ok(pool) = database.pool() else { return Reply::Retry };
    match store_payload_or_text(&pool, topic, &event, body, reason).await {
        Ok(()) => {
            kept(topic).increment(1);
            tracing::error!(event_id = event.id, topic, "an event could not be handled and is kept in dead_letters");
            Reply::Success
        }
        Err(error) => {
            tracing::warn!(%error, topic, "a dead letter could not be kept yet");
            Reply::Retry
        }
    }
}

/// Counts from zero, as Prometheus sees no increase in a series that begins with its first event.
fn kept(topic: &'static str) -> metrics::Counter {
    metrics::counter!("dead_letters_total", "topic" => topic)
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
