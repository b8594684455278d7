//! What the sidecar asks at start. The backend publishes and subscribes to nothing.

use axum::{Router, routing::get};
use serde_json::{Value, json};
use todo_common::{events::subscriptions, problem::Json};

use crate::app::App;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/dapr/subscribe", get(async || subscriptions(&[])))
        .route("/dapr/config", get(async || Json::<Value>(json!({}))))
}
