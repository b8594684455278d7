//! The routes of the backend, a file for each group.

mod bulk;
mod caller;
mod completion;
mod conversations;
mod dapr;
pub(crate) mod events;
mod list;
pub(crate) mod reminder_cron;
mod reminders;
mod tasks;

use axum::Router;
use todo_common::{auth, config::Settings};

use crate::{app::App, chat, mcp};

/// All routes.
pub(crate) fn router(app: App, settings: &Settings, allowed_mcp_hosts: &[String]) -> Router {
    let called_by_dapr = Router::new().merge(reminder_cron::router()).merge(dapr::router());
    Router::new()
        .merge(tasks::router())
        .merge(list::router())
        .merge(bulk::router())
        .merge(reminders::router())
        .merge(completion::router())
        .merge(conversations::router())
        .merge(events::router())
        .merge(chat::router())
        .nest_service("/mcp", mcp::service(app.clone(), allowed_mcp_hosts, app.stop.clone()))
        .merge(auth::require_app_token(called_by_dapr, settings))
        .with_state(app)
}
