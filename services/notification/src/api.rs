//! `/api/notifications`: what the web page shows behind its bell.

use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use todo_common::{
    auth, cursor,
    database::Database,
    idempotency::{self, IdempotencyKey, Keyed},
    problem::{Fields, Json, Path, Problem, Query},
    tasks::Page,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::notification::{self, Notification};

pub(crate) fn router() -> OpenApiRouter<Database> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(unread)).routes(routes!(read)).routes(routes!(read_all))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    user_id: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items of a page; 50 if absent, at most 200.
    #[param(format = Int64, maximum = 4_294_967_295u64)]
    limit: Option<u32>,
    /// With `true` only those that were not read.
    #[serde(default)]
    unread: bool,
}

/// Lists notifications, the newest first.
#[utoipa::path(
    get,
    path = "/api/notifications",
    tag = "notifications",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = Page<Notification>),
    )
)]
pub(crate) async fn list(
    State(database): State<Database>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let cursor = cursor::read(query.cursor.as_deref()).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let limit = cursor::limit(query.limit);
    let list = async |connection: &mut PgConnection| {
        notification::list(connection, &user, query.unread, cursor, limit).await.map(Json)
    };
    database.read(list).await
}

/// A number of notifications.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    #[schema(minimum = 0)]
    count: i64,
}

/// Counts the notifications that were not read.
#[utoipa::path(
    get,
    path = "/api/notifications/unread",
    tag = "notifications",
    responses(
        (status = 200, description = "How many there are", body = Count),
    )
)]
pub(crate) async fn unread(
    State(database): State<Database>,
    headers: HeaderMap,
    Query(query): Query<Caller>,
) -> Result<Json<Count>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let count = async |connection: &mut PgConnection| {
        let count = notification::count_unread(connection, &user).await?;
        Ok::<_, Problem>(Json(Count { count }))
    };
    database.read(count).await
}

/// A body that says whose it is and nothing else.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Caller {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
}

/// Marks a notification as read. When it was first read stays.
#[utoipa::path(
    post,
    path = "/api/notifications/{id}/read",
    tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification"), IdempotencyKey),
    request_body = Option<Caller>,
    responses(
        (status = 200, description = "The notification", body = Notification),
        (status = 404, description = "This user has no such notification"),
    )
)]
pub(crate) async fn read(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(query): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, body): Keyed<Bytes>,
) -> Result<Response, Problem> {
    let body: Caller = Fields::of_body(&body)?.rest()?;
    let user = auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers)?;
    let read = async |connection: &mut PgConnection| notification::mark_read(connection, &user, id).await.map(Json);
    idempotency::write(&database, &user, once.as_ref(), read).await
}

/// A body that says whose it is and how far they have read.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ReadAll {
    /// The user, where neither the query nor the header says it.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// The newest that they have seen: what has come since stays unread. If absent, all are read.
    newest: Option<Uuid>,
}

/// Marks all notifications as read, or all up to one. When one was first read stays.
#[utoipa::path(
    post,
    path = "/api/notifications/read-all",
    tag = "notifications",
    params(IdempotencyKey),
    request_body = Option<ReadAll>,
    responses(
        (status = 200, description = "How many were not read before", body = Count),
        (status = 404, description = "This user has no such notification"),
    )
)]
pub(crate) async fn read_all(
    State(database): State<Database>,
    Query(query): Query<Caller>,
    headers: HeaderMap,
    Keyed(once, body): Keyed<Bytes>,
) -> Result<Response, Problem> {
    let body: ReadAll = Fields::of_body(&body)?.rest()?;
    let user = auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers)?;
    let read_all = async |connection: &mut PgConnection| {
        let marked = notification::mark_all_read(connection, &user, body.newest).await?;
        Ok(Json(Count { count: i64::try_from(marked).unwrap_or(i64::MAX) }))
    };
    idempotency::write(&database, &user, once.as_ref(), read_all).await
}
