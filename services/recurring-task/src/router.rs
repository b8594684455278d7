//! Which routes there are; all of them are for the sidecar.

use axum::{
    Router,
    routing::{get, post},
};
use todo_common::{
    auth,
    config::Settings,
    database::Database,
    dead_letters,
    events::{Subscription, TASK_EVENTS, TASK_EVENTS_DEAD, subscriptions},
};

use crate::{completion, task_events};

const SUBSCRIPTIONS: [Subscription; 2] = [
    Subscription::new(TASK_EVENTS, "/task-events", Some(TASK_EVENTS_DEAD)),
    Subscription::new(TASK_EVENTS_DEAD, dead_letters::ROUTE, None),
];

/// All routes of this service.
pub(crate) fn router(settings: &Settings, database: &Database) -> Router {
    let routes = Router::new()
        .route("/dapr/subscribe", get(|| async { subscriptions(&SUBSCRIPTIONS) }))
        .route("/task-events", post(task_events::receive))
        .route("/process-completion", post(completion::process))
        .with_state(database.clone())
        .merge(dead_letters::router(database.clone(), TASK_EVENTS, task_events::revive));
    auth::require_app_token(routes, settings)
}
