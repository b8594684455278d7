//! Which routes there are; all of them are for the sidecar.

use axum::{
    Router,
    routing::{get, post},
};
use todo_common::{auth, config::Settings, consumer, dapr, database::Database, events::subscriptions};

use crate::{completion, task_events::TaskEvents};

/// All routes of this service.
pub(crate) fn router(settings: &Settings, database: &Database, dapr: &dapr::Client) -> Router {
    let routes = Router::new()
        .route("/dapr/subscribe", get(|| async { subscriptions(&consumer::subscriptions::<TaskEvents>()) }))
        .route("/process-completion", post(completion::process))
        .with_state(database.clone())
        .merge(consumer::router::<TaskEvents>(database.clone(), dapr.clone()));
    auth::require_app_token(routes, settings)
}
