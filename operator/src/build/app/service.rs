//! Kubernetes Services of the four apps.

use k8s_openapi::api::core::v1::Service;

use crate::{
    build::service::{self, Port},
    names::App,
    resolve::Resolved,
};

/// Service of one app: port 80 to the app's port.
///
/// Dapr makes another one, `<app id>-dapr`, by which sidecars find each other; it is not ours.
pub(super) fn build(platform: &Resolved, app: App) -> Service {
    service::build(platform, app.id(), &Port { name: "http", number: 80, target: app.port() })
}
