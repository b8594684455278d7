//! Looking at dead letters, replaying and discarding them: routes of the management port for who may forward ports of the
//! pod. They answer callers on loopback only, which is where a forwarded port comes from; others that reach the management
//! port, such as Prometheus, are refused.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{DeadLetter, Place, ROUTE, note_error, remove};
use crate::{
    consumer::{self, Consumer},
    cursor,
    database::Database,
    events::CloudEvent,
    problem::{Json, Path, Problem, Query},
};

#[derive(Serialize)]
struct List {
    items: Vec<DeadLetter>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /dead-letters`, `GET` and `DELETE /dead-letters/{id}`, `POST /dead-letters/{id}/replay`, for the management port.
pub fn management<C: Consumer>(database: Database) -> Router {
    Router::new()
        .route(ROUTE, get(list::<C>))
        .route(&format!("{ROUTE}/{{id}}"), get(look::<C>).delete(discard::<C>))
        .route(&format!("{ROUTE}/{{id}}/replay"), post(replay::<C>))
        .route_layer(middleware::from_fn(require_loopback))
        .with_state(database)
}

async fn require_loopback(
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // An IPv4 address looks like one of IPv6 where one socket serves both.
    if caller.ip().to_canonical().is_loopback() {
        Ok(next.run(request).await)
    } else {
        Err(Problem::forbidden("only who is in the pod may do this: use `kubectl port-forward`"))
    }
}

async fn list<C: Consumer>(State(database): State<Database>, Query(page): Query<Page>) -> Result<Json<List>, Problem> {
    let wrong = || Problem::invalid(vec![cursor::wrong()]);
    let after = page.cursor.map(|cursor| Place::decode(&cursor).ok_or_else(wrong)).transpose()?;
    let limit = cursor::limit(page.limit);
    let mut connection = database.pool()?.acquire().await?;
    let mut items = super::list(&mut connection, C::TOPIC, after.as_ref(), limit + 1).await.map_err(cursor::explain)?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let end = items.last().filter(|_| has_more);
    let next_cursor = end.map(|last| Place { received_at: last.received_at, id: last.id.clone() }.encode());
    Ok(Json(List { items, next_cursor }))
}

async fn look<C: Consumer>(
    State(database): State<Database>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetter>, Problem> {
    find::<C>(&database, &id).await.map(Json)
}

async fn find<C: Consumer>(database: &Database, id: &str) -> Result<DeadLetter, Problem> {
    let mut connection = database.pool()?.acquire().await?;
    super::get(&mut connection, C::TOPIC, id).await?.ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("this service has no such dead letter")
}

async fn discard<C: Consumer>(State(database): State<Database>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let mut connection = database.pool()?.acquire().await?;
    if !remove(&mut connection, C::TOPIC, &id).await? {
        return Err(missing());
    }
    tracing::warn!(event_id = id, topic = C::TOPIC, "a dead letter was discarded");
    Ok(StatusCode::NO_CONTENT)
}

/// Handles it as if it came from its topic: once, whoever replays it as well and however often. It goes when that is
/// committed, and stays with the new reason if it cannot be handled now either.
async fn replay<C: Consumer>(State(database): State<Database>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let letter = find::<C>(&database, &id).await?;
    let handled = match serde_json::from_value(letter.payload) {
        Ok(data) => consumer::apply::<C>(&database, &[&CloudEvent { id: id.clone(), traceparent: None, data }]).await,
        // Not serde's own text, which quotes the payload.
        Err(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", "The event cannot be read")),
    };
    let mut connection = database.pool()?.acquire().await?;
    if let Err(problem) = handled {
        if !problem.is_away() || problem.is_slow() {
            note_error(&mut connection, C::TOPIC, &id, &problem.sentence()).await?;
        }
        return Err(problem);
    }
    remove(&mut connection, C::TOPIC, &id).await?;
    tracing::info!(event_id = id, topic = C::TOPIC, "a dead letter was replayed");
    Ok(Json(json!({"status": "handled"})))
}
