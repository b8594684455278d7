//! Autoscalers.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
    MetricSpec, MetricTarget,
};

use crate::{
    build::owned,
    names::App,
    resolve::{Resolved, Scale},
};

/// An autoscaler where the platform asks for one.
pub(super) fn build(platform: &Resolved, app: App) -> Option<HorizontalPodAutoscaler> {
    let Scale::Auto { min, max, cpu_percent } = platform.service(app).scale else { return None };
    Some(HorizontalPodAutoscaler {
        metadata: owned(platform, app.id(), Some(app.id())),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: app.id().to_owned(),
            },
            min_replicas: Some(min),
            max_replicas: max,
            metrics: Some(vec![MetricSpec {
                type_: "ContainerResource".to_owned(),
                // The app's container alone: the sidecar's share depends on settings that are not the app's.
                container_resource: Some(ContainerResourceMetricSource {
                    container: app.container().to_owned(),
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(cpu_percent),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            ..HorizontalPodAutoscalerSpec::default()
        },
        status: None,
    })
}
