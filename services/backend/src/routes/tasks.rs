//! `/api/tasks`: one task at a time. Lists and bulk changes have files of their own.

use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ETAG, LOCATION},
    },
    response::{AppendHeaders, IntoResponse, Response},
};
use sqlx::PgConnection;
use todo_common::{
    idempotency::IdempotencyKey,
    problem::{Json, Path, Problem},
    tasks::{self, NewTask, Task, TaskPatch},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    caller::{Body, Caller, Owned, Whose},
    if_match::{IfMatch, expected_version},
};
use crate::app::App;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(read, update, replace, remove))
        .routes(routes!(complete))
        .routes(routes!(reopen))
        .routes(routes!(restore))
}

/// Creates a task.
#[utoipa::path(
    post,
    path = "/api/tasks",
    tag = "tasks",
    params(IdempotencyKey),
    request_body = Body<NewTask>,
    responses(
        (status = 201, description = "The new task", body = Task, headers(
            ("etag" = String, description = "Its version, for `if-match`"), ("location" = String, description = "Its path"),
        )),
    )
)]
async fn create(State(app): State<App>, Owned(caller, new): Owned<NewTask>) -> Result<Response, Problem> {
    let create = async |connection: &mut PgConnection| {
        let task = tasks::create(connection, &caller.user, new).await?;
        let location = [(LOCATION, format!("/api/tasks/{}", task.id))];
        Ok((StatusCode::CREATED, AppendHeaders(location), shown(task)))
    };
    caller.write(&app, create).await
}

/// Reads a task.
#[utoipa::path(
    get,
    path = "/api/tasks/{id}",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task")),
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
    )
)]
async fn read(State(app): State<App>, Path(id): Path<Uuid>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    app.database.read(async |connection| tasks::get(connection, &caller.user, id).await.map(shown)).await
}

/// Changes what the body names; `null` removes.
#[utoipa::path(
    patch,
    path = "/api/tasks/{id}",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Body<TaskPatch>,
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn update(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(caller, patch): Owned<TaskPatch>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let update = async |connection: &mut PgConnection| {
        let task = tasks::update(connection, &caller.user, id, expected, patch).await?;
        Ok(shown(task))
    };
    caller.write(&app, update).await
}

/// Writes a task anew: what the body does not name is reset.
#[utoipa::path(
    put,
    path = "/api/tasks/{id}",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Body<NewTask>,
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn replace(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Owned(caller, new): Owned<NewTask>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let replace = async |connection: &mut PgConnection| {
        let task = tasks::update(connection, &caller.user, id, expected, whole(new)).await?;
        Ok(shown(task))
    };
    caller.write(&app, replace).await
}

/// Completes a task. The next occurrence of a recurring one follows by itself.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/complete",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Option<Whose>,
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn complete(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let complete = async |connection: &mut PgConnection| {
        let task = tasks::complete(connection, &caller.user, id, expected).await?;
        Ok(shown(task))
    };
    caller.write(&app, complete).await
}

/// Opens a completed task again.
///
/// The occurrence that its completion made is taken back if nobody has touched it.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/reopen",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    request_body = Option<Whose>,
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn reopen(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let reopen = async |connection: &mut PgConnection| {
        let task = tasks::reopen(connection, &caller.user, id, expected).await?;
        Ok(shown(task))
    };
    caller.write(&app, reopen).await
}

/// Deletes a task; it can be restored.
#[utoipa::path(
    delete,
    path = "/api/tasks/{id}",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IfMatch, IdempotencyKey),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "This user has no such task"),
        (status = 412, description = "The task has another version by now"),
    )
)]
async fn remove(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let remove = async |connection: &mut PgConnection| {
        tasks::delete(connection, &caller.user, id, expected).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    caller.write(&app, remove).await
}

/// Brings a deleted task back.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/restore",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task"), IdempotencyKey),
    request_body = Option<Whose>,
    responses(
        (status = 200, description = "The task", body = Task, headers(("etag" = String, description = "Its version, for `if-match`"))),
        (status = 404, description = "This user has no such task"),
    )
)]
async fn restore(State(app): State<App>, Path(id): Path<Uuid>, caller: Caller) -> Result<Response, Problem> {
    let restore = async |connection: &mut PgConnection| {
        let task = tasks::restore(connection, &caller.user, id).await?;
        Ok(shown(task))
    };
    caller.write(&app, restore).await
}

/// A task with its version as `ETag`.
fn shown(task: Task) -> impl IntoResponse {
    (AppendHeaders([(ETAG, format!("\"{}\"", task.version))]), Json(task))
}

/// A change of every field: what the body of a PUT does not have is taken away.
fn whole(new: NewTask) -> TaskPatch {
    let NewTask { title, notes, priority, tags, due_at, due_date, time_zone, recurrence, reminders } = new;
    TaskPatch {
        title: Some(title),
        notes: Some(notes),
        priority: Some(priority),
        tags: Some(tags),
        due_at: Some(due_at),
        due_date: Some(due_date),
        time_zone: Some(time_zone.unwrap_or_else(|| "UTC".to_owned())),
        recurrence: Some(recurrence),
        reminders: Some(reminders),
    }
}
