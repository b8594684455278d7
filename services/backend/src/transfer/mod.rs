//! All tasks of a user out, and many in.

mod export;
mod import;
mod table;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(export::router()).merge(import::router())
}
