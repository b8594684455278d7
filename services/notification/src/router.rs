//! Which routes there are and who may call them.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use todo_common::{
    auth, config::Settings, consumer, dapr, database::Database, events::subscriptions, openapi::Document,
};
use utoipa::openapi::OpenApi;

use crate::{api, channels, reminders::Reminders, send, settings::Settings as ChannelSettings};

const ABOUT: &str = "What users are told, and by which channels. Every error is a problem (RFC 9457).\n\n\
    Tasks are served by another service: its document is /api/openapi.json, its page /api/docs.";

/// What the routes need. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) database: Database,
    pub(crate) dapr: dapr::Client,
    pub(crate) settings: Arc<ChannelSettings>,
}

impl FromRef<App> for Database {
    fn from_ref(app: &App) -> Self {
        app.database.clone()
    }
}

/// All routes of this service.
pub(crate) fn router(settings: &Settings, app: &App) -> Router {
    let database = &app.database;
    let for_dapr = Router::new()
        .route("/dapr/subscribe", get(|| async { subscriptions(&consumer::subscriptions::<Reminders>()) }))
        .route("/send-notification", post(send::send))
        .with_state(database.clone())
        .merge(consumer::router::<Reminders>(database.clone(), app.dapr.clone()));
    let for_people = Router::from(api::router())
        .with_state(database.clone())
        .merge(Router::from(channels::router()).with_state(app.clone()));
    let document = Document::new("Todo notifications API", ABOUT, described).routes(&["", "/api/notifications"]);
    auth::require_app_token(for_dapr, settings).merge(for_people).merge(document)
}

/// What the document says of the routes for people.
fn described() -> OpenApi {
    let mut all = api::router().into_openapi();
    all.merge(channels::router().into_openapi());
    all
}
