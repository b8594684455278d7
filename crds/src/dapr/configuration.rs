use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::dapr_resource;

/// What a sidecar does beside loading components: tracing, metrics, logs, and what it allows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Configuration {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// The settings.
    pub spec: ConfigurationSpec,
}
dapr_resource!(Configuration, "configurations");

impl Configuration {
    /// A configuration of that name.
    pub fn new(name: &str, spec: ConfigurationSpec) -> Self {
        Self {
            types: TypeMeta::resource::<Self>(),
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec,
        }
    }
}

/// The settings of a [`Configuration`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationSpec {
    /// Where spans go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// What is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// What is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Which secrets may be read through the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Who may call which route of the app behind the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_control: Option<AccessControl>,
}

/// Where spans go, and how many.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Share of requests between 0 and 1, as text.
    pub sampling_rate: String,
    /// An OpenTelemetry collector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otel: Option<Otel>,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Otel {
    /// `host:port`, without a scheme.
    pub endpoint_address: String,
    /// Whether it is reached over TLS.
    pub is_secure: bool,
    /// How it is spoken to.
    pub protocol: OtelProtocol,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OtelProtocol {
    /// OTLP over gRPC, usually port 4317.
    Grpc,
    /// OTLP over HTTP, usually port 4318.
    Http,
}

/// What the sidecar counts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Whether there are metrics at all.
    pub enabled: bool,
    /// Whether Dapr's error codes are counted too.
    pub record_error_codes: bool,
    /// Settings of the metrics about HTTP.
    pub http: HttpMetric,
}

/// Settings of the metrics about HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMetric {
    /// Whether each path is a series of its own, which grows without limit where ids are in paths.
    pub increased_cardinality: bool,
}

/// What the sidecar logs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Logging of calls to the Dapr API.
    pub api_logging: ApiLogging,
}

/// Logging of calls to the Dapr API.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiLogging {
    /// Whether calls are logged.
    pub enabled: bool,
    /// Logs the route's pattern and not its values: state keys hold user ids.
    #[serde(rename = "obfuscateURLs")]
    pub obfuscate_urls: bool,
    /// Leaves the probes out.
    pub omit_health_checks: bool,
}

/// Which secrets may be read through the sidecar.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Secrets {
    /// One entry per store; a store without one is open.
    pub scopes: Vec<SecretScope>,
}

/// What may be read of one secret store.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretScope {
    /// Name of the secret store component.
    pub store_name: String,
    /// What becomes of a secret that is not listed.
    pub default_access: Action,
    /// Names that may be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_secrets: Vec<String>,
}

/// Allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// May.
    Allow,
    /// May not.
    Deny,
}

/// Who may call which route. It is read by the sidecar of the app that is called.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessControl {
    /// What becomes of a caller that is not listed.
    pub default_action: Action,
    /// Trust domain of the app itself.
    pub trust_domain: String,
    /// One entry per caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<AppPolicy>,
}

/// What one caller may do.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppPolicy {
    /// App id of the caller.
    pub app_id: String,
    /// What becomes of a route that is not listed.
    pub default_action: Action,
    /// Trust domain of the caller; a policy without one makes the sidecar refuse to start.
    pub trust_domain: String,
    /// Namespace of the caller; a policy without one makes the sidecar refuse to start.
    pub namespace: String,
    /// Routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// A route, or all below one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The path; `/**` at its end means the path and all below it.
    pub name: String,
    /// HTTP methods, `*` for all. **Without any, the operation is not matched for HTTP.**
    pub http_verb: Vec<String>,
    /// Whether it is allowed.
    pub action: Action,
}
