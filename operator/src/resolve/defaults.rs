//! What a field that is absent means. These are not defaults of the schema: those are stored with each object when it is
//! created, and could never be changed for it again.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use crate::names::App;

/// Brokers that Strimzi runs.
pub use todo_crds::platform::DEFAULT_BROKERS as BROKERS;
/// Volume of embedded Kafka and of embedded PostgreSQL.
pub use todo_crds::platform::EMBEDDED_STORAGE_SIZE as STORAGE_SIZE;
/// Volume of each server that Strimzi or CloudNativePG runs.
pub use todo_crds::platform::MANAGED_STORAGE_SIZE;
/// Servers that CloudNativePG runs.
pub const INSTANCES: i32 = 3;
/// Consumer group of all services; see the specification.
pub const CONSUMER_GROUP: &str = "todo-service-group";
/// Largest message; see the specification.
pub const MAX_MESSAGE_BYTES: u64 = 1_048_576;
/// Wait after a consumer session failed; see the specification.
pub const CONSUME_RETRY_INTERVAL: &str = "100ms";
/// Partitions of a topic that the operator creates.
pub const PARTITIONS: i32 = todo_crds::platform::DEFAULT_PARTITIONS;
/// Version of Dapr's state store; see the specification.
pub const STATE_STORE_VERSION: &str = "v1";
/// What Dapr puts before each key: nothing; see the specification.
pub const KEY_PREFIX: &str = "none";
/// When reminders are looked for; see the specification.
pub const SCHEDULE: &str = "*/5 * * * *";
/// How far ahead reminders are looked for; see the specification.
pub const REMINDER_WINDOW_SECONDS: u64 = 300;
/// Level of the sidecars' logs.
pub const LOG_LEVEL: &str = "info";
/// Share of requests that are traced where an endpoint is named and no share is; Dapr's own default.
pub const SAMPLING_RATE: &str = "0.0001";
/// Share of the requested CPU that an autoscaler aims at, in percent.
pub const CPU_PERCENT: i32 = 75;

/// Labels by which the sidecar of Grafana's chart finds a dashboard.
pub fn dashboard_labels() -> BTreeMap<String, String> {
    BTreeMap::from([("grafana_dashboard".to_owned(), "1".to_owned())])
}

/// Pods of a service.
pub const fn replicas(app: App) -> i32 {
    match app {
        App::Backend => 2,
        App::Notification | App::RecurringTask | App::Frontend => 1,
    }
}

/// Resources of a service's container. No limit of CPU: it would only slow down what could run. The requests are little
/// more than what is used at rest, so that several platforms fit on a small node.
pub fn service_resources(app: App) -> ResourceRequirements {
    match app {
        App::Backend => resources("25m", "48Mi", "256Mi"),
        App::Notification | App::RecurringTask => resources("10m", "32Mi", "192Mi"),
        App::Frontend => resources("10m", "24Mi", "128Mi"),
    }
}

/// Resources of a sidecar.
pub fn sidecar_resources() -> ResourceRequirements {
    resources("10m", "96Mi", "512Mi")
}

/// Resources of embedded Kafka.
pub fn kafka_resources() -> ResourceRequirements {
    resources("50m", "512Mi", "1Gi")
}

/// Resources of embedded PostgreSQL.
pub fn postgres_resources() -> ResourceRequirements {
    resources("25m", "128Mi", "1Gi")
}

fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let list = |pairs: &[(&str, &str)]| {
        let list: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect();
        Some(list)
    };
    ResourceRequirements {
        requests: list(&[("cpu", cpu), ("memory", memory)]),
        limits: list(&[("memory", memory_limit)]),
        ..ResourceRequirements::default()
    }
}
