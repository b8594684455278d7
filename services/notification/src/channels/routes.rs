//! `/api/notifications/channels` and `/api/notifications/deliveries`.

use axum::{Router, routing::get, routing::post};

use super::api;
use crate::{deliveries, router::App};

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/api/notifications/channel-kinds", get(api::kinds))
        .route("/api/notifications/channels", get(api::list).post(api::create))
        .route("/api/notifications/channels/{id}", get(api::show).patch(api::update).delete(api::delete))
        .route("/api/notifications/channels/{id}/confirm", post(api::confirm))
        .route("/api/notifications/channels/{id}/test", post(api::test))
        .route("/api/notifications/deliveries", get(deliveries::api::list))
        .with_state(app)
}
