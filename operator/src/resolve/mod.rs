//! From a `TodoPlatform` and what was read of the cluster to [`Resolved`]: everything the builders need, with every
//! default filled in. After [`validate()`] nobody looks at the resource again.

mod backing;
mod check;
pub mod defaults;
mod notifications;
pub(crate) mod quantity;
mod schedule;
mod services;
pub mod validate;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::{
    api::core::v1::{Affinity, ResourceRequirements, Toleration},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use sha2::{Digest, Sha256};

use crate::names::App;
pub use notifications::{Notifications, Outbound, Smtp, WebPush};
pub use validate::{Violation, validate};

/// What the operator was started with, as far as it shows in the objects that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the services' images are, without a slash at the end.
    pub image_registry: String,
    /// Tag of the services' images where a platform names none.
    pub operator_version: String,
    /// Image of embedded Kafka.
    pub kafka_image: String,
    /// Image of embedded PostgreSQL.
    pub postgres_image: String,
    /// Namespace of the operator's own pods, which the network policies let in.
    pub operator_namespace: String,
    /// Namespace of Dapr's control plane, which the network policies let the sidecars reach.
    pub dapr_namespace: String,
    /// Namespace of what scrapes metrics, which the network policies let in.
    pub monitoring_namespace: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image_registry: "ghcr.io/todoplatform".to_owned(),
            operator_version: env!("CARGO_PKG_VERSION").to_owned(),
            kafka_image: "apache/kafka:4.0.0".to_owned(),
            postgres_image: "postgres:15-bookworm".to_owned(),
            operator_namespace: "todo-operator".to_owned(),
            dapr_namespace: "dapr-system".to_owned(),
            monitoring_namespace: "monitoring".to_owned(),
        }
    }
}

/// What only the cluster can tell, read before validation.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// [`digest`] of the value of each named Secret's key that exists. Pods are restarted when one of theirs changes.
    pub digests: BTreeMap<SecretRef, String>,
    /// Port of an external PostgreSQL, taken from its connection string; for the network policies.
    pub postgres_port: Option<u16>,
    /// Fresh values for the Secrets that the operator makes, used only where one does not exist yet.
    pub generated: GeneratedSecrets,
}

/// Fresh values for the Secrets that the operator makes.
#[derive(Clone, Debug, Default)]
pub struct GeneratedSecrets {
    /// Password of embedded Kafka's user.
    pub kafka_password: Sensitive,
    /// Password of embedded PostgreSQL's user. Letters and digits, as it becomes part of a URL.
    pub postgres_password: Sensitive,
    /// Token between each service and its sidecar.
    pub app_token: Sensitive,
    /// Private key of Web Push.
    pub web_push_key: Sensitive,
}

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sensitive(String);

impl Sensitive {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for writing it into a Secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// A key of a Secret in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

impl SecretRef {
    /// A key of a Secret.
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: key.into() }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret {} key {}", self.name, self.key)
    }
}

/// Short digest of a Secret's value, for noticing that it changed.
pub fn digest(value: &[u8]) -> String {
    short_hash(value)
}

/// The first 16 hexadecimal digits of a SHA-256: enough to tell two settings apart.
pub fn short_hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// A platform with every default filled in and every choice made.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Name of the resource.
    pub name: String,
    /// The one namespace in which everything is made.
    pub namespace: String,
    /// UID of the resource; in the services' environment, as a database belongs to one platform. All zeros when rendered
    /// without a cluster.
    pub uid: String,
    /// Owner reference for all that goes with the resource; none when rendered without a cluster.
    pub owner: Option<OwnerReference>,
    /// Release of the bundled services.
    pub version: String,
    /// Broker.
    pub kafka: Kafka,
    /// Database.
    pub postgres: Postgres,
    /// Component `statestore`.
    pub state_store: StateStore,
    /// Component `reminder-cron`.
    pub reminders: Reminders,
    /// Language model, if any.
    pub ai: Option<Ai>,
    /// Channels by which users may be told.
    pub notifications: Notifications,
    /// How the sidecars behave.
    pub dapr: Dapr,
    /// The four services, in the order of [`App::ALL`].
    pub services: Vec<Service>,
    /// Names of Secrets for pulling images.
    pub image_pull_secrets: Vec<String>,
    /// How the page is reached from outside, if it is.
    pub exposure: Option<Exposure>,
    /// Namespaces for the network policies, if there are any.
    pub network_policy: Option<NetworkPolicy>,
    /// Whether embedded data outlives the resource.
    pub retain_data: bool,
    /// See [`Found::digests`]; complete for the Secrets that the operator makes.
    pub digests: BTreeMap<SecretRef, String>,
    /// See [`Found::generated`].
    pub generated: GeneratedSecrets,
}

impl Resolved {
    /// The settings of one service.
    pub fn service(&self, app: App) -> &Service {
        &self.services[App::ALL.iter().position(|a| *a == app).unwrap_or_default()]
    }
}

/// Where events go.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// Which broker.
    pub mode: KafkaMode,
    /// Consumer group of all services.
    pub consumer_group: String,
    /// Largest message that is published, and taken by an embedded broker.
    pub max_message_bytes: u64,
    /// Wait after a consumer session failed, as Dapr writes it.
    pub consume_retry_interval: String,
    /// Partitions of each topic that the operator creates.
    pub partitions: u32,
}

/// Which broker.
#[derive(Clone, Debug)]
pub enum KafkaMode {
    /// A broker of our own.
    Embedded(Storage),
    /// Someone else's.
    External(ExternalKafka),
}

/// Disk and resources of something embedded.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Image that it runs.
    pub image: String,
    /// Size of its volume.
    pub size: Quantity,
    /// Storage class; the cluster's default if none.
    pub class: Option<String>,
    /// Resources of its container.
    pub resources: ResourceRequirements,
}

/// A broker that someone else runs.
#[derive(Clone, Debug)]
pub struct ExternalKafka {
    /// `host:port` each.
    pub brokers: Vec<String>,
    /// How clients say who they are.
    pub auth: KafkaAuth,
    /// Whether and how the connection is encrypted.
    pub tls: Option<KafkaTls>,
}

/// How Kafka's clients say who they are.
#[derive(Clone, Debug)]
pub enum KafkaAuth {
    /// Not at all.
    None,
    /// User name and password.
    Password {
        /// How they are sent.
        mechanism: SaslMechanism,
        /// Where the user name is.
        username: SecretRef,
        /// Where the password is.
        password: SecretRef,
    },
    /// A certificate.
    Mtls {
        /// Where the certificate is.
        certificate: SecretRef,
        /// Where its key is.
        key: SecretRef,
    },
}

/// How user name and password are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
    /// As they are.
    Plain,
}

/// How the connection to Kafka is encrypted.
#[derive(Clone, Debug)]
pub struct KafkaTls {
    /// Where the authority's certificate is; the system's authorities if none.
    pub ca_certificate: Option<SecretRef>,
}

/// Where tasks are kept.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Which database.
    pub mode: PostgresMode,
    /// Where the way to it is: made by the operator when embedded.
    pub connection_string: SecretRef,
}

/// Which database.
#[derive(Clone, Debug)]
pub enum PostgresMode {
    /// A database of our own.
    Embedded(Storage),
    /// Someone else's.
    External {
        /// Port that it listens on.
        port: u16,
    },
}

/// Settings of component `statestore`.
#[derive(Clone, Debug)]
pub struct StateStore {
    /// Version of Dapr's implementation; they keep data in different tables.
    pub version: String,
    /// What Dapr puts before each key.
    pub key_prefix: String,
}

/// Settings of component `reminder-cron`.
#[derive(Clone, Debug)]
pub struct Reminders {
    /// Five fields, or six with leading seconds, or `@every …`.
    pub schedule: String,
    /// How far ahead a tick looks.
    pub window_seconds: u64,
}

/// A language model.
#[derive(Clone, Debug)]
pub struct Ai {
    /// Where the key is.
    pub api_key: SecretRef,
    /// Where the API is; the client's default if none.
    pub base_url: Option<String>,
    /// Which model; the client's default if none.
    pub model: Option<String>,
}

/// How the sidecars behave.
#[derive(Clone, Debug)]
pub struct Dapr {
    /// Whether calls to the Dapr API are logged.
    pub api_logging: bool,
    /// Level of the sidecars' logs.
    pub log_level: String,
    /// Where spans go.
    pub tracing: Option<Tracing>,
    /// Resources of each sidecar.
    pub sidecar_resources: ResourceRequirements,
}

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// URL of an OpenTelemetry collector.
    pub endpoint: String,
    /// Share of requests, between 0 and 1, as text.
    pub sampling_rate: String,
}

/// Settings of one service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which one.
    pub app: App,
    /// Full reference of its image.
    pub image: String,
    /// How many pods.
    pub scale: Scale,
    /// Resources of the app's container.
    pub resources: ResourceRequirements,
    /// What a user adds to the environment.
    pub env: BTreeMap<String, String>,
    /// What a user adds to the pod's annotations.
    pub pod_annotations: BTreeMap<String, String>,
    /// Nodes that it may run on.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Affinity.
    pub affinity: Option<Affinity>,
    /// Priority class.
    pub priority_class: Option<String>,
}

/// How many pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many.
    Fixed(i32),
    /// As an autoscaler finds.
    Auto {
        /// At least.
        min: i32,
        /// At most.
        max: i32,
        /// Share of the requested CPU that it aims at, in percent.
        cpu_percent: i32,
    },
}

impl Scale {
    /// The least number of pods there should be.
    pub const fn min(&self) -> i32 {
        match self {
            Self::Fixed(n) => *n,
            Self::Auto { min, .. } => *min,
        }
    }
}

/// How the page is reached from outside.
#[derive(Clone, Debug)]
pub enum Exposure {
    /// By an Ingress.
    Ingress {
        /// Host name.
        host: String,
        /// Class; the cluster's default if none.
        class: Option<String>,
        /// Annotations that the ingress controller reads.
        annotations: BTreeMap<String, String>,
        /// Secret with the certificate; plain HTTP if none.
        tls_secret: Option<String>,
    },
    /// By a route of a Gateway.
    HttpRoute {
        /// Host name.
        host: String,
        /// Name of the Gateway, in the same namespace.
        gateway: String,
        /// Listener of the Gateway; all if none.
        section: Option<String>,
    },
}

/// What the network policies need to know of the cluster.
#[derive(Clone, Debug)]
pub struct NetworkPolicy {
    /// See [`Settings::operator_namespace`].
    pub operator_namespace: String,
    /// See [`Settings::dapr_namespace`].
    pub dapr_namespace: String,
    /// See [`Settings::monitoring_namespace`].
    pub monitoring_namespace: String,
}

/// A key of a Secret that something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
    /// Components, services and embedded parts that need it.
    pub used_by: BTreeSet<String>,
    /// Whether the operator makes the Secret when there is none.
    pub generated: bool,
}
