//! All tasks of a user out, and many in.

mod export;
mod format;
mod import;
mod table;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Tasks of one import. In bytes it takes as much as every request, [`todo_common::server::BODY_LIMIT`].
const MOST: usize = 1000;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(export::router()).merge(import::router())
}
