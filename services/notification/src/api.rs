//! `/api/notifications`: what the web page shows behind its bell.

use axum::{body::Bytes, extract::State, http::HeaderMap};
use serde::Deserialize;
use todo_common::{
    auth, cursor,
    database::Database,
    problem::{Json, Path, Problem, Query},
    tasks::Page,
};
use uuid::Uuid;

use crate::notification::{self, Notification};

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    user_id: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    unread: bool,
}

/// `GET /api/notifications?user_id=&unread=&limit=&cursor=`
pub(crate) async fn list(
    State(database): State<Database>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let cursor = cursor::read(query.cursor.as_deref()).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let limit = cursor::limit(query.limit);
    let mut connection = database.pool()?.acquire().await?;
    notification::list(&mut connection, &user, query.unread, cursor, limit).await.map(Json)
}

#[derive(Default, Deserialize)]
pub(crate) struct Caller {
    user_id: Option<String>,
}

/// `POST /api/notifications/{id}/read`; the body may be empty.
pub(crate) async fn read(
    State(database): State<Database>,
    Path(id): Path<Uuid>,
    Query(query): Query<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Notification>, Problem> {
    let body: Caller = match &body[..] {
        [] => Caller::default(),
        body => serde_json::from_slice(body).map_err(|error| Problem::bad_request(error.to_string()))?,
    };
    let user = auth::user(body.user_id.as_deref(), query.user_id.as_deref(), &headers)?;
    let mut connection = database.pool()?.acquire().await?;
    notification::mark_read(&mut connection, &user, id).await.map(Json)
}
