//! `/api/notifications`: what the web page shows behind its bell.

use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use sqlx::PgConnection;
use todo_common::{
    auth, cursor,
    database::Database,
    idempotency::{self, IdempotencyKey, Keyed},
    problem::{Json, Path, Problem, Query},
    tasks::Page,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::notification::{self, Notification};

pub(crate) fn router() -> OpenApiRouter<Database> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read))
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

/// A body that says whose it is and nothing else.
#[derive(Default, Deserialize, ToSchema)]
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
    let body: Option<Caller> = match &body[..] {
        [] => None,
        body => serde_json::from_slice(body).map_err(|error| Problem::bad_request(error.to_string()))?,
    };
    let body = body.unwrap_or_default();
    let user = auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers)?;
    let read = async |connection: &mut PgConnection| notification::mark_read(connection, &user, id).await.map(Json);
    idempotency::write(&database, &user, once.as_ref(), read).await
}
