//! The values of the chart. Their schema, `values.yaml` and the reference are generated from here.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Value, json};

use super::markdown::prose;

/// A namespace.
const NAMESPACE: &str = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// A namespace, or none.
const ANY_NAMESPACE: &str = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$";
/// Values of the chart.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Values {
    /// Where the images of the operator and of the services are, without a slash at the end. Another one starts the services of
    /// all platforms anew.
    #[schemars(length(min = 1, max = 256), regex(pattern = "[^/]$"))]
    image_registry: String,
    /// The operator's image.
    image: Image,
    /// Names of Secrets for pulling the operator's image. Platforms name their own in `spec.imagePullSecrets`.
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    image_pull_secrets: Vec<String>,
    /// Images of what platforms embed.
    embedded: Embedded,
    /// The one namespace whose platforms are run; those of the whole cluster if empty. In one namespace Roles are enough, with
    /// `crds.enabled` off.
    #[schemars(length(max = 63), regex(pattern = ANY_NAMESPACE))]
    watch_namespace: String,
    /// Namespaces whose platforms are left to other releases, each with one of these as its `watchNamespace`. Two operators
    /// of one namespace would undo each other's work.
    #[schemars(length(max = 256), inner(regex(pattern = NAMESPACE)))]
    excluded_namespaces: Vec<String>,
    /// Namespace of Dapr's control plane, which platforms' network policies let their sidecars reach. With `watchNamespace`
    /// it has to be there before this chart, which makes a Role in it.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    dapr_namespace: String,
    /// Namespace from which metrics may be scraped.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    monitoring_namespace: String,
    /// Ranges of addresses at which pods reach the API server, for example `10.96.0.1/32`: that of the Service `kubernetes` and
    /// those behind it. Platforms' network policies then let sidecars reach these alone for it, and every address if empty.
    #[schemars(length(max = 64), inner(regex(pattern = cidr())))]
    api_server_cidrs: Vec<String>,
    /// Seconds after which everything that is watched is listed anew, which makes up for events that got lost on their way.
    #[schemars(range(min = 5))]
    relist_seconds: u32,
    /// Objects by which Prometheus and Grafana find the operator. Those of a platform are in its `spec.monitoring`.
    monitoring: Monitoring,
    /// The definition of the resource `TodoPlatform`.
    crds: Crds,
    /// Pods of the operator. One works, the others stand by.
    #[schemars(range(min = 0, max = 9))]
    replicas: i32,
    /// What the operator writes about its work.
    log: Log,
    /// Spans of the operator's passes. Those of a platform's sidecars and services are in its `spec.dapr.tracing`.
    tracing: Tracing,
    /// Resources of the operator's container.
    #[schemars(with = "BTreeMap<String, Value>")]
    resources: Value,
    /// Annotations of the operator's pods.
    pod_annotations: BTreeMap<String, String>,
    /// Labels of the operator's pods, beside those of the chart.
    #[schemars(extend("propertyNames" = {"not": {"enum": [
        "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version",
        "app.kubernetes.io/managed-by", "helm.sh/chart",
    ]}}))]
    pod_labels: BTreeMap<String, String>,
    /// Labels of nodes that the operator may run on.
    node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the operator tolerates.
    #[schemars(with = "Vec<BTreeMap<String, Value>>")]
    tolerations: Vec<Value>,
    /// Affinity of the operator's pods.
    #[schemars(with = "BTreeMap<String, Value>")]
    affinity: Value,
    /// Priority class of the operator's pods; the cluster's default if empty.
    #[schemars(length(max = 253))]
    priority_class_name: String,
}

/// The operator's image.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Image {
    /// Its tag; the chart's `appVersion` if empty. The services' images do not follow it: theirs is a platform's `spec.version`,
    /// or else the release of the operator.
    #[schemars(length(max = 128))]
    tag: String,
    /// When it is pulled.
    #[schemars(extend("enum" = ["Always", "IfNotPresent", "Never"]))]
    pull_policy: String,
}

/// Images of what platforms embed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Embedded {
    /// Image of embedded Kafka. Another one starts the Kafka of all platforms anew.
    #[schemars(length(min = 1, max = 512))]
    kafka_image: String,
    /// Image of embedded PostgreSQL. Another one starts that of all platforms anew; its major version has to stay, as a server does
    /// not start on the data of another one.
    #[schemars(length(min = 1, max = 512))]
    postgres_image: String,
}

/// Objects by which Prometheus and Grafana find the operator.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Monitoring {
    /// A `ServiceMonitor`, with the Service that it needs.
    service_monitor: ServiceMonitor,
    /// A `PrometheusRule` with alerts.
    prometheus_rule: PrometheusRule,
    /// A ConfigMap with a dashboard for Grafana.
    dashboard: Dashboard,
}

/// Where the metrics are.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ServiceMonitor {
    /// Whether it is made. Its kind has to be there before this chart.
    enabled: bool,
    /// How often metrics are read, for example 30s; Prometheus' own default if empty.
    #[schemars(length(max = 16), regex(pattern = "^([0-9]+(ms|s|m))?$"))]
    interval: String,
    /// Labels by which a Prometheus selects it.
    labels: BTreeMap<String, String>,
}

/// When to raise an alarm.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PrometheusRule {
    /// Whether it is made. Its kind has to be there before this chart.
    enabled: bool,
    /// Labels by which a Prometheus selects it.
    labels: BTreeMap<String, String>,
}

/// A dashboard.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Dashboard {
    /// Whether it is made.
    enabled: bool,
    /// Labels by which Grafana's sidecar finds it.
    labels: BTreeMap<String, String>,
}

/// The definition of the resource.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Crds {
    /// Whether the chart brings the definition and keeps it current.
    enabled: bool,
    /// Whether the definition, and with it every platform, outlives the release.
    keep: bool,
}

/// What the operator writes about its work.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Log {
    /// `RUST_LOG` of the operator: a level, or several with targets, such as `info,kube=warn`.
    #[schemars(length(min = 1, max = 256), regex(pattern = levels()))]
    level: String,
    /// How it is written.
    #[schemars(extend("enum" = ["json", "text"]))]
    format: String,
}

/// Spans of the operator's passes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Tracing {
    /// URL of a collector that takes OTLP over plain HTTP, for example `http://collector.observability:4318`; no spans are made
    /// if empty.
    #[schemars(length(max = 512), regex(pattern = r"^(http://[^@?#\s]+)?$"))]
    endpoint: String,
    /// Share of passes whose spans are sent, from 0 to 1.
    // `helm --set` makes a text of a number with a point.
    #[schemars(
        range(min = 0.0, max = 1.0),
        extend("type" = ["number", "string"], "pattern" = r"^(0|1|0?\.[0-9]{1,9}|1\.0{1,9})$")
    )]
    sampling_rate: f64,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            image_registry: "ghcr.io/todoplatform".to_owned(),
            image: Image::default(),
            image_pull_secrets: Vec::new(),
            embedded: Embedded::default(),
            watch_namespace: String::new(),
            excluded_namespaces: Vec::new(),
            dapr_namespace: "dapr-system".to_owned(),
            monitoring_namespace: "monitoring".to_owned(),
            api_server_cidrs: Vec::new(),
            relist_seconds: 1800,
            monitoring: Monitoring::default(),
            crds: Crds::default(),
            replicas: 1,
            log: Log::default(),
            tracing: Tracing::default(),
            resources: json!({"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}),
            pod_annotations: BTreeMap::new(),
            pod_labels: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: json!({}),
            priority_class_name: String::new(),
        }
    }
}

impl Default for Image {
    fn default() -> Self {
        Self { tag: String::new(), pull_policy: "IfNotPresent".to_owned() }
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self { kafka_image: "apache/kafka:4.0.0".to_owned(), postgres_image: "postgres:15-bookworm".to_owned() }
    }
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { enabled: false, labels: BTreeMap::from([("grafana_dashboard".to_owned(), "1".to_owned())]) }
    }
}

impl Default for Crds {
    fn default() -> Self {
        Self { enabled: true, keep: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: "json".to_owned() }
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self { endpoint: String::new(), sampling_rate: 1.0 }
    }
}

/// A range of addresses of either family.
fn cidr() -> String {
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let v4 = format!(r"{byte}(\.{byte}){{3}}/(3[0-2]|[12]?[0-9])");
    let v6 = "[0-9a-fA-F]*:[0-9a-fA-F:.]+/(12[0-8]|1[01][0-9]|[1-9]?[0-9])";
    format!("^({v4}|{v6})$")
}

/// Levels, each of everything or of one target. A word that is no level would be read as the only target that is not silent.
fn levels() -> String {
    let either = |letter: char| format!("[{}{letter}]", letter.to_ascii_uppercase());
    let words =
        ["off", "error", "warn", "info", "debug", "trace"].map(|word| word.chars().map(either).collect::<String>());
    let level = format!(r"([^,\s]+=)?([0-5]|{})", words.join("|"));
    format!("^{level}(,{level})*$")
}

/// The schema by which Helm checks values, in the draft that it knows.
pub(super) fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Values>().to_value();
    flow(&mut schema);
    // Helm hands a chart that another one brings that chart's global values.
    schema["properties"]["global"] = json!({"type": "object"});
    schema
}

/// Takes the ends of lines out of descriptions, which are where a line of this file was full.
fn flow(schema: &mut Value) {
    let description = prose(schema);
    let Some(fields) = schema.as_object_mut() else { return };
    if !description.is_empty() {
        fields.insert("description".to_owned(), description.into());
    }
    fields
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
        .for_each(|(_, below)| flow(below));
}
