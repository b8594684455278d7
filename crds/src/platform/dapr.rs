use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{resources::Resources, rules, schema};

/// How the Dapr sidecars behave.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaprSpec {
    /// Whether calls to the sidecars' API are logged; they are if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_logging: Option<bool>,
    /// Where spans of sidecars and services go; nowhere if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingSpec>,
    /// Level of the sidecars' logs; `info` if absent.
    #[schemars(schema_with = "schema::choice::<LogLevel>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Resources of each sidecar; if absent, 10m of CPU and 96Mi of memory, with a limit of 512Mi of memory. What is written takes
    /// the place of all of it.
    #[x_kube(validation = Rule::new(
        "(!has(self.requests) || self.requests.all(name, name in ['cpu', 'memory'])) \
         && (!has(self.limits) || self.limits.all(name, name in ['cpu', 'memory']))"
    ).message("write cpu and memory only; Dapr sets nothing else on a sidecar"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar_resources: Option<Resources>,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracingSpec {
    /// URL of an OpenTelemetry collector, with its port and without a path: OTLP over HTTP on port 4318, over gRPC on any other. Sidecars send their spans to
    /// either, services theirs to `http://` and port 4318 only.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::http_url("http://otel-collector.observability:4318"), validation = rules::collector())]
    pub endpoint: String,
    /// Share of requests that are traced, a text between "0" and "1"; "0.0001" if absent.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = rules::text(r"0|1|0?\.[0-9]+|0\.|1\.0*", "write a text between \"0\" and \"1\", for example \"0.1\""))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_rate: Option<String>,
}

/// Level of the sidecars' logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What looks wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl LogLevel {
    /// As Dapr writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
