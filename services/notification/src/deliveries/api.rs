//! `GET /api/notifications/deliveries`: whether notifications arrived, and why not.

use axum::{extract::State, http::HeaderMap};
use serde::Deserialize;
use todo_common::{
    auth,
    cursor::{self, Cursor},
    database::Database,
    problem::{Json, Problem, Query},
    tasks::Page,
};
use utoipa::IntoParams;
use uuid::Uuid;

use super::Delivery;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    user_id: Option<String>,
    /// Of one channel only.
    channel_id: Option<Uuid>,
    /// Of one notification only.
    notification_id: Option<Uuid>,
    /// `next_cursor` of the page before, with the same filter.
    cursor: Option<String>,
    /// Items of a page; 50 if absent, at most 200.
    #[param(format = Int64, maximum = 4_294_967_295u64)]
    limit: Option<u32>,
}

/// Lists what became of notifications in channels, the newest first.
#[utoipa::path(
    get,
    path = "/api/notifications/deliveries",
    tag = "channels",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = Page<Delivery>),
    )
)]
pub(crate) async fn list(
    State(database): State<Database>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let user = auth::user(None, query.user_id.as_deref(), &headers)?;
    let cursor = cursor::read(query.cursor.as_deref()).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let limit = cursor::limit(query.limit);
    let (value, id) = cursor.map_or((None, None), |cursor| (Some(cursor.value), Some(cursor.id)));
    let mut connection = database.pool()?.acquire().await?;
    let mut items: Vec<Delivery> = sqlx::query_as(
        "SELECT d.id, d.notification_id, d.channel_id, c.kind, c.name AS channel_name, d.state, d.attempts, d.last_error,
             CASE WHEN d.state = 'waiting' THEN d.next_attempt_at END AS next_attempt_at, d.created_at, d.sent_at
         FROM deliveries d JOIN channels c ON c.id = d.channel_id
         WHERE d.user_id = $1 AND ($2::uuid IS NULL OR d.channel_id = $2)
           AND ($3::uuid IS NULL OR d.notification_id = $3)
           AND ($4::text IS NULL OR (d.created_at, d.id) < ($4::text::timestamptz, $5))
         ORDER BY d.created_at DESC, d.id DESC LIMIT $6",
    )
    .bind(&user)
    .bind(query.channel_id)
    .bind(query.notification_id)
    .bind(value)
    .bind(id)
    .bind(i64::from(limit) + 1)
    .fetch_all(&mut *connection)
    .await
    .map_err(cursor::explain)?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = |last: &Delivery| Cursor { value: last.created_at.to_rfc3339(), id: last.id }.encode();
    let next_cursor = if has_more { items.last().map(next) } else { None };
    Ok(Json(Page { items, next_cursor }))
}
