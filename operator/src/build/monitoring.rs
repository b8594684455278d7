//! What Prometheus and Grafana read: where the metrics are, when to raise an alarm, and a dashboard.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::{Object, Policy, Wave, app::deployment::MANAGEMENT, owned};
use crate::{
    names::{self, App},
    resolve::{Resolved, Scrape, short_hash},
};

/// Where Prometheus' kinds are.
pub const GROUP_VERSION: &str = "monitoring.coreos.com/v1";
/// Those that the operator writes.
pub const KINDS: [&str; 2] = ["PodMonitor", "PrometheusRule"];

/// Groups of alerts, for the platform [`NAME`] in the namespace [`PLACE`].
const ALERTS: &str = include_str!("../../../config/monitoring/platform-alerts.yaml");
/// The dashboard.
const DASHBOARD: &str = include_str!("../../../config/monitoring/platform-dashboard.json");
/// Stands for a platform's namespace.
const PLACE: &str = "NAMESPACE";
/// Stands for its name.
const NAME: &str = "PLATFORM";
/// Port of daprd's metrics, as its injector names it.
const DAPR_METRICS: &str = "dapr-metrics";

/// The API of one of [`KINDS`].
pub(crate) fn resource(kind: &str) -> ApiResource {
    let (group, version) = GROUP_VERSION.split_once('/').unwrap_or_default();
    let plural = format!("{}s", kind.to_lowercase());
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural)
}

/// All that is asked for.
pub(super) fn objects(platform: &Resolved) -> Vec<Object> {
    let monitoring = &platform.monitoring;
    let scrape = monitoring.scrape.as_ref().map(|scrape| pod_monitor(platform, scrape));
    let rule = monitoring.alerts.as_ref().map(|labels| prometheus_rule(platform, labels));
    let dashboard = monitoring.dashboard.as_ref().map(|labels| dashboard(platform, labels));
    [scrape, rule, dashboard].into_iter().flatten().collect()
}

/// One for the pods of all services and their sidecars. Not a `ServiceMonitor`, as their metrics are behind no Service.
fn pod_monitor(platform: &Resolved, scrape: &Scrape) -> Object {
    let endpoint = |port: &str| {
        let mut endpoint = json!({"port": port, "path": "/metrics"});
        if let Some(interval) = &scrape.interval {
            endpoint["interval"] = json!(interval);
        }
        endpoint
    };
    let spec = json!({
        "selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": App::ALL.map(App::id)}]},
        "podMetricsEndpoints": [endpoint(MANAGEMENT), endpoint(DAPR_METRICS)],
    });
    object(platform, "PodMonitor", &scrape.labels, &spec)
}

fn prometheus_rule(platform: &Resolved, labels: &BTreeMap<String, String>) -> Object {
    // A file of our own, which a test reads.
    let alerts = ALERTS.replace(PLACE, &platform.namespace).replace(NAME, &platform.name);
    let groups: Value = serde_yaml::from_str(&alerts).unwrap_or_default();
    object(platform, "PrometheusRule", labels, &json!({"groups": groups}))
}

fn object(platform: &Resolved, kind: &str, labels: &BTreeMap<String, String>, spec: &Value) -> Object {
    let resource = resource(kind);
    let mut body = DynamicObject::new(names::MONITORING, &resource).data(json!({"spec": spec}));
    body.metadata = labelled(platform, names::MONITORING, labels);
    Object { wave: Wave::Workload, policy: Policy::Apply, body, resource }
}

/// Grafana knows dashboards by their UID and its sidecar by the name of their file, both in all namespaces at once.
fn dashboard(platform: &Resolved, labels: &BTreeMap<String, String>) -> Object {
    let namespace = &platform.namespace;
    // As above.
    let mut dashboard: Value = serde_json::from_str(DASHBOARD).unwrap_or_default();
    dashboard["uid"] = json!(format!("todo-{}", short_hash(namespace.as_bytes())));
    dashboard["title"] = json!(format!("Todo platform in {namespace}"));
    for variable in dashboard["templating"]["list"].as_array_mut().into_iter().flatten() {
        if variable["name"] == "namespace" {
            *variable = json!({"name": "namespace", "type": "constant", "query": namespace, "hide": 2});
        }
    }
    let config_map = ConfigMap {
        metadata: labelled(platform, names::DASHBOARD, labels),
        data: Some(BTreeMap::from([(format!("todo-platform-{namespace}.json"), dashboard.to_string())])),
        ..ConfigMap::default()
    };
    Object::of(Wave::Workload, Policy::Apply, &config_map)
}

/// A user's labels beside those by which the operator knows what is its own.
fn labelled(
    platform: &Resolved,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    let mut metadata = owned(platform, name, None);
    let mut all = labels.clone();
    all.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(all);
    metadata
}
