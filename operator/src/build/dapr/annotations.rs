//! The annotations by which Dapr gives a pod its sidecar.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;

use crate::{
    names::{self, App},
    resolve::Resolved,
};

/// Seconds that a pod goes on to serve after it was told to stop, while callers move on to others. A sidecar keeps the
/// addresses of an app for 20 s (`resolverCacheTTL` in Dapr's `direct_messaging.go`), and sends a request again and again
/// to the one that it took first. The first call to a pod that had gone would wait for it until it is given up.
pub const DRAIN_SECONDS: i64 = 25;

/// Annotations of the pods of a service.
pub fn build(platform: &Resolved, app: App) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from(
        [
            ("enabled", "true".to_owned()),
            ("app-id", app.id().to_owned()),
            ("app-port", app.port().to_string()),
            ("app-protocol", "http".to_owned()),
            ("config", names::DAPR_CONFIG.to_owned()),
            ("enable-api-logging", platform.dapr.api_logging.to_string()),
            ("log-as-json", "true".to_owned()),
            ("log-level", platform.dapr.log_level.clone()),
            // The store that Dapr adds by itself would read whatever the account may, past any component's scope; and
            // the frontend's sidecar could not even start with it, for want of an account token.
            ("disable-builtin-k8s-secret-store", "true".to_owned()),
            ("app-token-secret", names::APP_TOKEN_SECRET.to_owned()),
            ("sidecar-seccomp-profile-type", "RuntimeDefault".to_owned()),
            // The app and its sidecar are told to stop at the same moment. So long the sidecar takes no more events but
            // still carries calls.
            ("block-shutdown-duration", format!("{DRAIN_SECONDS}s")),
        ]
        .map(|(name, value)| (format!("dapr.io/{name}"), value)),
    );
    if app == App::Backend {
        annotations.insert("dapr.io/app-max-concurrency".to_owned(), "10".to_owned());
    }
    annotations.extend(resources(&platform.dapr.sidecar_resources));
    annotations
}

fn resources(resources: &ResourceRequirements) -> Vec<(String, String)> {
    let mut annotations = Vec::new();
    for (kind, list) in [("request", &resources.requests), ("limit", &resources.limits)] {
        for (resource, quantity) in list.iter().flatten() {
            annotations.push((format!("dapr.io/sidecar-{resource}-{kind}"), quantity.0.clone()));
        }
    }
    annotations
}
