//! `/api/tasks/{id}/reminders`: when a task's reminders come, and changing them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection};
use todo_common::{
    idempotency::IdempotencyKey,
    problem::{FieldError, Json, Path, Problem},
    tasks::{self, Reminder, TaskPatch},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    caller::{Body, Caller, Owned},
    if_match::{IfMatch, expected_version},
};
use crate::app::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add, replace))
}

/// A reminder at a moment that was worked out from what the user wrote.
#[derive(Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
struct Planned {
    id: Uuid,
    remind_at: DateTime<Utc>,
    /// When it went on its way to the notification service; nothing while it waits.
    claimed_at: Option<DateTime<Utc>>,
}

/// When a task is reminded of.
#[derive(Debug, Serialize, ToSchema)]
struct Reminders {
    /// In order.
    items: Vec<Planned>,
    /// There is always one page.
    next_cursor: Option<String>,
}

/// A reminder as a body has it, beside its user.
#[derive(Debug, Deserialize)]
struct Written {
    at: Option<DateTime<Utc>>,
    before_minutes: Option<u32>,
}

impl Written {
    fn reminder(self) -> Result<Reminder, FieldError> {
        match (self.at, self.before_minutes) {
            (Some(at), None) => Ok(Reminder::At(at)),
            (None, Some(minutes)) => Ok(Reminder::BeforeMinutes(minutes)),
            _ => Err(FieldError::new("at", "write one of at and before_minutes")),
        }
    }
}

/// All the reminders of a task.
#[derive(Debug, Deserialize, ToSchema)]
struct Replacement {
    /// At most 10.
    #[schema(max_items = 10)]
    reminders: Vec<Reminder>,
}

/// Lists a task's reminders with their times.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}/reminders",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task")),
    responses(
        (status = 200, description = "The reminders", body = Reminders),
        (status = 404, description = "This user has no such task"),
    )
)]
async fn list(State(app): State<App>, Path(id): Path<Uuid>, caller: Caller) -> Result<Json<Reminders>, Problem> {
    let list = async |connection: &mut PgConnection| {
        tasks::get(connection, &caller.user, id).await?;
        planned(connection, id).await
    };
    app.database.read(list).await
}

/// Adds a reminder.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/reminders",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Body<Reminder>,
    responses(
        (status = 201, description = "All reminders by now", body = Reminders),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn add(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(caller, written): Owned<Written>,
) -> Result<Response, Problem> {
    let reminder = written.reminder()?;
    let expected = expected_version(&headers)?;
    let add = async |connection: &mut PgConnection| {
        tasks::update_with(connection, &caller.user, id, expected, |task| {
            let reminders = task.reminders.iter().copied().chain([reminder]).collect();
            TaskPatch { reminders: Some(reminders), ..TaskPatch::default() }
        })
        .await?;
        Ok((StatusCode::CREATED, planned(connection, id).await?))
    };
    caller.write(&app, add).await
}

/// Replaces a task's reminders.
#[utoipa::path(
    put,
    path = "/api/tasks/{id}/reminders",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Body<Replacement>,
    responses(
        (status = 200, description = "All reminders by now", body = Reminders),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn replace(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(caller, Replacement { reminders }): Owned<Replacement>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let replace = async |connection: &mut PgConnection| {
        let patch = TaskPatch { reminders: Some(reminders), ..TaskPatch::default() };
        tasks::update(connection, &caller.user, id, expected, patch).await?;
        planned(connection, id).await
    };
    caller.write(&app, replace).await
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
