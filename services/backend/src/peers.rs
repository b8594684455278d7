//! The other services, by Dapr service invocation.

use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use todo_common::{
    apps::{NOTIFICATION, RECURRING_TASK},
    dapr::{self, Client},
    problem::Problem,
    tasks::UserId,
};
use uuid::Uuid;

/// Why another service did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Error {
    /// It has refused, in these words.
    Refused(StatusCode, String),
    /// It could not be called, or has failed.
    Away(Problem),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(StatusCode::NOT_FOUND, words) => Self::not_found(words),
            Error::Refused(status, words) => {
                Self::new(status, "refused", "Another service has refused it").detail(words)
            }
            Error::Away(problem) => problem,
        }
    }
}

/// Asks notification-service to test the channels of `user` by this `message`, once for this `id`. Its answer is passed on.
pub(crate) async fn test_channels(dapr: &Client, user: &UserId, id: Uuid, message: &str) -> Result<Value, Error> {
    let body = json!({"user_id": user.as_str(), "message": message, "test": true});
    call(dapr, NOTIFICATION, "send-notification", id, &body).await
}

/// Asks recurring-task-service for the successor of a completed task: the same function as its subscription, so that a
/// completion whose event went lost can be replayed.
pub(crate) async fn process_completion(dapr: &Client, task: &(impl Serialize + Sync)) -> Result<Value, Error> {
    call(dapr, RECURRING_TASK, "process-completion", Uuid::new_v4(), task).await
}

async fn call(
    dapr: &Client,
    app: &'static str,
    method: &str,
    id: Uuid,
    body: &(impl Serialize + Sync),
) -> Result<Value, Error> {
    dapr.invoke(app, Method::POST, method, id, body).await.map_err(|error| match error {
        // What the sidecar refuses has a code of its own, and is nothing that the caller could put right.
        dapr::Error::Refused { status, code, message, .. } if status.is_client_error() && code.is_empty() => {
            Error::Refused(status, message)
        }
        error => {
            tracing::warn!(%error, app, "a service could not be called");
            Error::Away(Problem::unavailable(format!("{app} could not be called")))
        }
    })
}
