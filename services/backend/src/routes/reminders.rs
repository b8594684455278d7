//! `/api/tasks/{id}/reminders`: when a task's reminders come, and changing them.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use todo_common::{
    problem::{Json, Path, Problem},
    tasks::{self, Reminder, TaskPatch},
};
use uuid::Uuid;

use super::{
    caller::{Caller, Owned},
    tasks::expected_version,
};
use crate::app::App;

pub(super) fn router() -> Router<App> {
    Router::new().route("/api/tasks/{id}/reminders", get(list).post(add).put(replace))
}

/// A reminder at a moment that was worked out from what the user wrote.
#[derive(Debug, PartialEq, Eq, Serialize, FromRow)]
struct Planned {
    id: Uuid,
    remind_at: DateTime<Utc>,
    /// When it went on its way to the notification service; nothing while it waits.
    claimed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct Reminders {
    items: Vec<Planned>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Replacement {
    reminders: Vec<Reminder>,
}

async fn list(State(app): State<App>, Path(id): Path<Uuid>, Caller(user): Caller) -> Result<Json<Reminders>, Problem> {
    let mut connection = app.database.pool()?.acquire().await?;
    tasks::get(&mut connection, &user, id).await?;
    planned(&mut connection, id).await
}

async fn add(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(user, reminder): Owned<Reminder>,
) -> Result<(StatusCode, Json<Reminders>), Problem> {
    let mut transaction = app.database.begin().await?;
    let task = tasks::get(&mut transaction, &user, id).await?;
    let expected = expected_version(&headers)?.unwrap_or(task.version);
    let mut reminders = task.reminders;
    reminders.push(reminder);
    let patch = TaskPatch { reminders: Some(reminders), ..TaskPatch::default() };
    tasks::update(&mut transaction, &user, id, Some(expected), patch).await?;
    let answer = planned(&mut transaction, id).await?;
    app.database.commit(transaction).await?;
    Ok((StatusCode::CREATED, answer))
}

async fn replace(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(user, Replacement { reminders }): Owned<Replacement>,
) -> Result<Json<Reminders>, Problem> {
    let mut transaction = app.database.begin().await?;
    let patch = TaskPatch { reminders: Some(reminders), ..TaskPatch::default() };
    tasks::update(&mut transaction, &user, id, expected_version(&headers)?, patch).await?;
    let answer = planned(&mut transaction, id).await?;
    app.database.commit(transaction).await?;
    Ok(answer)
}

async fn planned(connection: &mut PgConnection, task: Uuid) -> Result<Json<Reminders>, Problem> {
    let items = sqlx::query_as(
        "SELECT id, remind_at, claimed_at FROM task_reminders WHERE task_id = $1 ORDER BY remind_at, id",
    )
    .bind(task)
    .fetch_all(connection)
    .await?;
    Ok(Json(Reminders { items, next_cursor: None }))
}
