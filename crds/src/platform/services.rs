use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::{KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use super::{affinity, resources::Resources, rules, schema};

/// Variables that the operator sets since a later release. The schema has to take what it has taken before, so only the
/// condition `SpecValid` says that a user cannot set them.
pub const RESERVED_ENV_LATER: [&str; 4] =
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "REMINDER_MODE"];

/// Environment variables that the operator sets, for one service or another. A user cannot set them.
pub const RESERVED_ENV: [&str; 38] = [
    "AI_BASE_URL",
    "AI_MODEL",
    "AI_SECRET_KEY",
    "AI_SECRET_NAME",
    "APP_API_TOKEN",
    "APP_PROTOCOL",
    "AUTH_MODE",
    "DAPR_API_TOKEN",
    "DAPR_GRPC_ENDPOINT",
    "DAPR_GRPC_PORT",
    "DAPR_HTTP_ENDPOINT",
    "DAPR_HTTP_PORT",
    "DATABASE_SECRET_KEY",
    "DATABASE_SECRET_NAME",
    "DATABASE_URL",
    "MANAGEMENT_PORT",
    "NAMESPACE",
    "NTFY_BASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PLATFORM_NAME",
    "PLATFORM_UID",
    "POD_NAME",
    "PORT",
    "REMINDER_WINDOW_SECONDS",
    "SMTP_FROM",
    "SMTP_HOST",
    "SMTP_PASSWORD",
    "SMTP_PORT",
    "SMTP_TLS",
    "SMTP_USERNAME",
    "WEBHOOK_ADDRESSES",
    "WEBHOOK_PORTS",
    "WEB_PUSH_ADDRESSES",
    "WEB_PUSH_PORTS",
    "WEB_PUSH_PRIVATE_KEY",
    "WEB_PUSH_PUBLIC_KEY",
    "WEB_PUSH_SUBJECT",
    "WEB_ROOT",
];

/// Names by which the page may be called, of the frontend.
pub const ALLOWED_HOSTS: &str = "ALLOWED_HOSTS";

/// The four services.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicesSpec {
    /// REST, chat and MCP; owns the tasks. 2 replicas if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<ServiceSpec>,
    /// Consumes reminders and shows them. 1 replica if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<ServiceSpec>,
    /// Consumes task events and makes successors. 1 replica if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurring_task: Option<ServiceSpec>,
    /// The web page. 1 replica if absent.
    #[x_kube(validation = rules::allowed_hosts())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontend: Option<ServiceSpec>,
}

/// Settings of one service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::at_most_one(&["replicas", "autoscaling"]),
    validation = autoscaling_needs_a_cpu_request()
)]
pub struct ServiceSpec {
    /// Pods.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods as an autoscaler finds, in place of `replicas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,
    /// Full reference of an image in place of the bundled one.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::text(r"[^\s]+", "write the reference of an image, for example registry.example.com/todo-backend:0.1.0"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Resources of its container; if absent, 25m of CPU and 48Mi of memory for the backend, 10m and 32Mi for notification and
    /// recurringTask, 10m and 24Mi for the frontend, with limits of 256Mi, 192Mi and 128Mi of memory. What is written takes the
    /// place of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// More environment variables, for example `RUST_LOG`. What the operator sets itself is refused.
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// More annotations of its pods; not Dapr's and not the operator's own.
    #[schemars(schema_with = "schema::annotations")]
    #[x_kube(validation = rules::pod_annotations(), validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// More labels of its pods; not Dapr's and not the operator's own.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::pod_labels(), validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    /// Labels of the nodes that it may run on.
    #[schemars(schema_with = "schema::labels")]
    #[x_kube(validation = rules::keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that it tolerates.
    #[schemars(schema_with = "schema::tolerations")]
    #[x_kube(
        validation = rules::tolerations_are_known(),
        validation = rules::tolerations_have_keys(),
        validation = rules::tolerations_have_no_more()
    )]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Affinity of its pods, as in a pod.
    #[schemars(schema_with = "affinity::schema")]
    #[x_kube(validation = affinity::values(), validation = affinity::names_of_nodes())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Priority class of its pods.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::object_name("a PriorityClass"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
}

/// An autoscaler that measures a share of the requested CPU has nothing to measure without a request.
fn autoscaling_needs_a_cpu_request() -> Rule {
    Rule::new(
        "!has(self.autoscaling) || !has(self.resources) \
         || !(has(self.resources.requests) || has(self.resources.limits)) \
         || (has(self.resources.requests) && 'cpu' in self.resources.requests) \
         || (has(self.resources.limits) && 'cpu' in self.resources.limits)",
    )
    .message("autoscaling needs a request of CPU; write resources.requests.cpu, for example 100m")
}

/// How many pods an autoscaler may make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas")
    .message("write a minReplicas that is at most maxReplicas"))]
pub struct AutoscalingSpec {
    /// At least so many; what the service has without an autoscaler if absent.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// At most so many.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// Share of the requested CPU that is aimed at, in percent; 75 if absent.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<i32>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(
        validation = rules::text("[A-Za-z_][A-Za-z0-9_.-]*", "write the name of an environment variable: letters, digits, _, . and -, no digit first"),
        validation = Rule::new(format!("!(self in ['{}'])", RESERVED_ENV.join("', '")))
            .message("this variable is set by the operator; leave it out")
    )]
    pub name: String,
    /// Value. Not for secrets: everybody who may read the platform can read it.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}
