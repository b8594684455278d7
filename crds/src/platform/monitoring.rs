use std::collections::BTreeMap;

use kube::{KubeSchema, core::Duration};
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// Objects for Prometheus and Grafana. Each is made if it is given, once its kind exists in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringSpec {
    /// A `PodMonitor` for the services and their sidecars, whose metrics are behind no Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitorSpec>,
    /// A `PrometheusRule` with alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus_rule: Option<PrometheusRuleSpec>,
    /// A ConfigMap with a dashboard for Grafana.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<DashboardSpec>,
}

/// How Prometheus finds the services.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Labels by which a Prometheus selects them.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How often metrics are read; Prometheus' own default if absent.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = rules::duration("5s", "10m"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
}

/// Alerts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusRuleSpec {
    /// Labels by which a Prometheus selects it.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A dashboard.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DashboardSpec {
    /// Labels by which Grafana's sidecar finds it; `grafana_dashboard: "1"` if absent.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
