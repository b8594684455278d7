//! Every name that the operator gives to something. They are relied on by users and never change once released.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Prefix of our labels and annotations, and the API group of the resource.
pub const GROUP: &str = "todoplatform.dev";

/// Kafka's StatefulSet, Service, ServiceAccount and container.
pub const KAFKA: &str = "kafka";
/// ConfigMap with the settings of embedded Kafka.
pub const KAFKA_CONFIG: &str = "kafka-config";
/// Volume claim of embedded Kafka, named as a StatefulSet would name it.
pub const KAFKA_CLAIM: &str = "data-kafka-0";
/// PostgreSQL's StatefulSet, Service, ServiceAccount and container.
pub const POSTGRES: &str = "postgres";
/// ConfigMap with the start script of embedded PostgreSQL.
pub const POSTGRES_CONFIG: &str = "postgres-config";
/// Volume claim of embedded PostgreSQL, named as a StatefulSet would name it.
pub const POSTGRES_CLAIM: &str = "data-postgres-0";

/// `KafkaNodePool` of the brokers that Strimzi runs. The `Kafka` itself is [`KAFKA`].
pub const KAFKA_BROKERS: &str = "broker";
/// `KafkaNodePool` of the controllers that Strimzi runs.
pub const KAFKA_CONTROLLERS: &str = "controller";
/// `KafkaUser` as which the sidecars connect to a Kafka that Strimzi runs; also the Secret that Strimzi makes for it, with
/// the password under [`PASSWORD_KEY`].
pub const KAFKA_CLIENT: &str = "kafka-client";
/// Secret that Strimzi makes with the certificate of the authority that signs the brokers'.
pub const KAFKA_CA_SECRET: &str = "kafka-cluster-ca-cert";
/// Key in [`KAFKA_CA_SECRET`].
pub const CA_KEY: &str = "ca.crt";
/// Service that Strimzi makes for clients.
pub const KAFKA_BOOTSTRAP: &str = "kafka-kafka-bootstrap";
/// What Strimzi calls the pods of its brokers and controllers in their label [`todo_crds::strimzi::NAME_LABEL`].
pub const KAFKA_NODES: &str = "kafka-kafka";
/// Secret that CloudNativePG makes with the way to the database. Its `Cluster` is [`POSTGRES`].
pub const POSTGRES_APP_SECRET: &str = "postgres-app";
/// Key in [`POSTGRES_APP_SECRET`]: all in one, as clients take it.
pub const URI_KEY: &str = "uri";

/// Secret with the user name that embedded Kafka knows.
pub const KAFKA_USERNAME_SECRET: &str = "kafka-username";
/// Key in [`KAFKA_USERNAME_SECRET`].
pub const USERNAME_KEY: &str = "username";
/// Secret with that user's password.
pub const KAFKA_PASSWORD_SECRET: &str = "kafka-password";
/// Key in [`KAFKA_PASSWORD_SECRET`].
pub const PASSWORD_KEY: &str = "password";
/// Secret with the way to embedded PostgreSQL.
pub const POSTGRES_SECRET: &str = "postgres-connection";
/// Key in [`POSTGRES_SECRET`]: all in one, as clients take it.
pub const CONNECTION_STRING_KEY: &str = "connection-string";
/// Key in [`POSTGRES_SECRET`]: what embedded PostgreSQL calls its database.
pub const DATABASE_KEY: &str = "database";
/// Secret with the token by which a service knows its own sidecar.
pub const APP_TOKEN_SECRET: &str = "todo-app-token";
/// Key in [`APP_TOKEN_SECRET`]; Dapr takes no other.
pub const TOKEN_KEY: &str = "token";

/// Secret with the keys of Web Push, in base64url.
pub const WEB_PUSH_SECRET: &str = "web-push-keys";
/// Key in [`WEB_PUSH_SECRET`]: what browsers subscribe with.
pub const PUBLIC_KEY: &str = "public-key";
/// Key in [`WEB_PUSH_SECRET`]: what messages are signed with.
pub const PRIVATE_KEY: &str = "private-key";

/// User, and for PostgreSQL also database, of what is embedded; also that of a CloudNativePG cluster.
pub const EMBEDDED_USER: &str = "todo";

/// Component for publishing and subscribing.
pub const PUBSUB: &str = "kafka-pubsub";
/// Component that keeps conversation state.
pub const STATE_STORE: &str = "statestore";
/// Component that ticks for reminders; also the route that it calls.
pub const REMINDER_CRON: &str = "reminder-cron";
/// Component that reads Kubernetes Secrets.
pub const SECRET_STORE: &str = "kubernetes-secrets";
/// The secret store that Dapr adds to every sidecar by itself.
pub const BUILTIN_SECRET_STORE: &str = "kubernetes";
/// Configuration and Resiliency of all services.
pub const DAPR_CONFIG: &str = "todo-platform";

/// What says to Prometheus where the metrics are and when to raise an alarm.
pub const MONITORING: &str = "todo-platform";
/// ConfigMap with the dashboard.
pub const DASHBOARD: &str = "todo-platform-dashboard";

/// Topics that the services use, dead-letter ones included.
pub const TOPICS: [&str; 4] = ["reminders", "reminders-dead", "task-events", "task-events-dead"];

/// Port of Kafka's SASL listener.
pub const KAFKA_PORT: u16 = 9092;
/// Port of the listener of a Kafka that Strimzi runs, with TLS.
pub const KAFKA_TLS_PORT: u16 = 9093;
/// Port of PostgreSQL.
pub const POSTGRES_PORT: u16 = 5432;
/// Port of every service for probes and metrics; in no Service.
pub const MANAGEMENT_PORT: u16 = 8081;
/// Port of daprd's HTTP API, on loopback only.
pub const DAPR_HTTP_PORT: u16 = 3500;
/// Port of daprd's gRPC API, on loopback only.
pub const DAPR_GRPC_PORT: u16 = 50001;
/// Port on which sidecars speak to each other.
pub const DAPR_INTERNAL_PORT: u16 = 50002;
/// Port of daprd's health and metadata, on all interfaces.
pub const DAPR_PUBLIC_PORT: u16 = 3501;
/// Port of daprd's metrics.
pub const DAPR_METRICS_PORT: u16 = 9090;

/// One of the four services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum App {
    /// REST, chat and MCP; owns the tasks.
    Backend,
    /// Consumes reminders and shows them.
    Notification,
    /// Consumes task events and makes successors.
    RecurringTask,
    /// The web page.
    Frontend,
}

impl App {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [Self; 4] = [Self::Backend, Self::Notification, Self::RecurringTask, Self::Frontend];

    /// Dapr app id; also the name of Deployment, Service, ServiceAccount, Role and `app` label.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Backend => "backend-service",
            Self::Notification => "notification-service",
            Self::RecurringTask => "recurring-task-service",
            Self::Frontend => "frontend-service",
        }
    }

    /// Name of the app's container.
    pub const fn container(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Notification => "notification",
            Self::RecurringTask => "recurring-task",
            Self::Frontend => "frontend",
        }
    }

    /// Name of the image, without registry and tag.
    pub const fn image(self) -> &'static str {
        match self {
            Self::Backend => "todo-backend",
            Self::Notification => "todo-notification",
            Self::RecurringTask => "todo-recurring-task",
            Self::Frontend => "todo-frontend",
        }
    }

    /// Field below `spec.services`.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Notification => "notification",
            Self::RecurringTask => "recurringTask",
            Self::Frontend => "frontend",
        }
    }

    /// Port that the app listens on for its sidecar and its Service.
    pub const fn port(self) -> u16 {
        match self {
            Self::Backend => 8000,
            Self::Notification => 8001,
            Self::RecurringTask => 8002,
            Self::Frontend => 8080,
        }
    }

    /// Whether it speaks to Kafka and PostgreSQL and reads Secrets; the frontend reaches the others and nothing else.
    pub const fn has_backing_services(self) -> bool {
        !matches!(self, Self::Frontend)
    }

    /// Those that invoke this one through their sidecars.
    pub const fn callers(self) -> &'static [Self] {
        match self {
            Self::Backend => &[Self::Frontend],
            Self::Notification => &[Self::Backend, Self::Frontend],
            Self::RecurringTask => &[Self::Backend],
            Self::Frontend => &[],
        }
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// What a data volume or a Secret carries, so that a later platform of the same name finds it.
pub fn platform_label() -> String {
    format!("{GROUP}/platform")
}

/// Annotation on every pod template: changes exactly when the pods have to be started anew.
pub fn config_hash_annotation() -> String {
    format!("{GROUP}/config-hash")
}
