//! Disruption budgets.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{build::owned, labels, names::App, resolve::Resolved};

/// A budget where it can help: with a single pod it could only stop a node from being drained.
pub(super) fn build(platform: &Resolved, app: App) -> Option<PodDisruptionBudget> {
    if platform.service(app).scale.min() < 2 {
        return None;
    }
    Some(PodDisruptionBudget {
        metadata: owned(platform, app.id(), Some(app.id())),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(labels::label_selector(app.id())),
            // A pod that is not ready serves nobody, and must not keep a node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}
