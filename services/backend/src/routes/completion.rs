//! `POST /api/tasks/{id}/process-completion`: replays a completion whose event went lost, by service invocation.

use axum::extract::State;
use serde_json::Value;
use todo_common::{
    problem::{Json, Path, Problem},
    tasks::{self, Status},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::caller::{Caller, Whose};
use crate::{app::App, peers};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(process_completion))
}

/// Makes the next occurrence of a completed task whose event went lost.
///
/// The answer is recurring-task-service's. It makes the next occurrence at most once, however often it is asked.
#[utoipa::path(
    post,
    path = "/api/tasks/{id}/process-completion",
    tag = "tasks",
    params(("id" = Uuid, Path, description = "The task")),
    request_body = Option<Whose>,
    responses(
        (status = 200, description = "What was done", body = Value),
        (status = 404, description = "This user has no such task"),
        (status = 409, description = "The task is not completed"),
    )
)]
async fn process_completion(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    // The other service needs a connection, too: none is held while waiting for it.
    let task = app.database.read(async |connection| tasks::get(connection, &caller.user, id).await).await?;
    if task.status != Status::Completed {
        return Err(Problem::conflict("the task is not completed"));
    }
    Ok(Json(peers::process_completion(&app.dapr, &task).await?))
}
