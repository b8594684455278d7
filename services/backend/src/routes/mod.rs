//! The routes of the backend, a file for each group.

mod bulk;
pub(crate) mod caller;
mod completion;
mod conversations;
mod dapr;
pub(crate) mod events;
mod if_match;
mod list;
pub(crate) mod reminder_cron;
pub(crate) mod reminder_job;
mod reminders;
mod tasks;

use axum::Router;
use todo_common::{auth, config::Settings, openapi::Document};
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, calendar, chat, mcp, transfer};

const ABOUT: &str = "Tasks, their reminders, and a chat about them. Every error is a problem (RFC 9457).\n\n\
    Notifications are served by another service: its document is /api/notifications/openapi.json, its page /api/notifications/docs.";

/// All routes.
pub(crate) fn router(app: App, settings: &Settings) -> Router {
    let called_by_dapr =
        Router::new().merge(reminder_cron::router()).merge(reminder_job::router()).merge(dapr::router());
    Router::from(for_people())
        .merge(Document::new("Todo API", ABOUT, || for_people().into_openapi()).routes(&["", "/api"]))
        .nest_service("/mcp", mcp::service(app.clone(), app.stop.clone()))
        .merge(auth::require_app_token(called_by_dapr, settings))
        .with_state(app)
}

/// The routes that the document describes.
fn for_people() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tasks::router())
        .merge(transfer::router())
        .merge(calendar::router())
        .merge(list::router())
        .merge(bulk::router())
        .merge(reminders::router())
        .merge(completion::router())
        .merge(conversations::router())
        .merge(events::router())
        .merge(chat::router())
}
