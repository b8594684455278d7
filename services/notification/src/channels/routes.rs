//! `/api/notifications/channels` and `/api/notifications/deliveries`.

use utoipa_axum::{router::OpenApiRouter, routes};

use super::api;
use crate::{deliveries, router::App};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(api::kinds))
        .routes(routes!(api::list, api::create))
        .routes(routes!(api::show, api::update, api::delete))
        .routes(routes!(api::confirm))
        .routes(routes!(api::test))
        .routes(routes!(deliveries::api::list))
}
