//! The other services, by Dapr service invocation.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use todo_common::{
    dapr::{self, Client},
    problem::Problem,
    tasks::UserId,
};
use uuid::Uuid;

const NOTIFICATION: &str = "notification-service";
const RECURRING_TASK: &str = "recurring-task-service";

/// Asks notification-service to show `message` to `user`, once for this `id`. Its answer is passed on.
pub(crate) async fn notify(dapr: &Client, user: &UserId, id: Uuid, message: &str) -> Result<Value, Problem> {
    let body = json!({"user_id": user.as_str(), "message": message});
    call(dapr, NOTIFICATION, "send-notification", id, &body).await
}

/// Asks recurring-task-service for the successor of a completed task: the same function as its subscription, so that a
/// completion whose event went lost can be replayed.
pub(crate) async fn process_completion(dapr: &Client, task: &(impl Serialize + Sync)) -> Result<Value, Problem> {
    call(dapr, RECURRING_TASK, "process-completion", Uuid::new_v4(), task).await
}

async fn call(
    dapr: &Client,
    app: &'static str,
    method: &str,
    id: Uuid,
    body: &(impl Serialize + Sync),
) -> Result<Value, Problem> {
    dapr.invoke(app, Method::POST, method, id, body).await.map_err(|error: dapr::Error| {
        tracing::warn!(%error, app, "a service could not be called");
        Problem::unavailable(format!("{app} could not be called"))
    })
}
