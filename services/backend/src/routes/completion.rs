//! `POST /api/tasks/{id}/process-completion`: replays a completion whose event went lost, by service invocation.

use axum::{Router, extract::State, routing::post};
use serde_json::Value;
use todo_common::{
    problem::{Json, Path, Problem},
    tasks::{self, Status},
};
use uuid::Uuid;

use super::caller::Caller;
use crate::{app::App, peers};

pub(super) fn router() -> Router<App> {
    Router::new().route("/api/tasks/{id}/process-completion", post(process_completion))
}

/// The answer is recurring-task-service's. It makes the next occurrence at most once, however often it is asked.
async fn process_completion(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Caller(user): Caller,
) -> Result<Json<Value>, Problem> {
    let mut connection = app.database.pool()?.acquire().await?;
    let task = tasks::get(&mut connection, &user, id).await?;
    // The other service needs a connection, too: none is held while waiting for it.
    drop(connection);
    if task.status != Status::Completed {
        return Err(Problem::conflict("the task is not completed"));
    }
    peers::process_completion(&app.dapr, &task).await.map(Json)
}
