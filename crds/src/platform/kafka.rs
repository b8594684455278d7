use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    resources::{EmbeddedSpec, StorageSpec},
    rules, schema,
    secret::SecretValue,
};

/// Partitions of each topic where no number is given.
pub const DEFAULT_PARTITIONS: i32 = 3;
/// Brokers of a cluster that Strimzi runs where no number is given.
pub const DEFAULT_BROKERS: i32 = 3;
/// From so many brokers on, a cluster that Strimzi runs has three controllers and keeps each event three times; below, one
/// and once. Neither can be changed later.
pub const REDUNDANT_BROKERS: i32 = 3;

/// Where events go. At most one of `embedded`, `external` and `strimzi`; none means `embedded`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::at_most_one(&["embedded", "external", "strimzi"]))]
pub struct KafkaSpec {
    /// A broker in the platform's namespace, in a single pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedSpec>,
    /// Brokers that someone else runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafkaSpec>,
    /// A cluster that the Strimzi operator runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strimzi: Option<StrimziSpec>,
    /// Consumer group of all services; `todo-service-group` if absent. Another one later reads every topic again from
    /// its oldest event.
    #[schemars(length(min = 1, max = 249))]
    #[x_kube(validation = rules::text(r"[^\s{}]+", "write a consumer group without blanks and braces, for example todo-service-group"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// Largest message in bytes; 1048576 if absent.
    #[schemars(range(min = 1024, max = 104_857_600))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<i64>,
    /// Wait after a consumer session failed; 100ms if absent.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = rules::duration("10ms", "1m"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consume_retry_interval: Option<Duration>,
    /// The topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicsSpec>,
}

/// Brokers that someone else runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.auth) || !has(self.auth.mtls) || has(self.tls) && has(self.tls.caCertificate)")
    .message("a client certificate needs TLS with the brokers' authority; write tls with caCertificate"))]
pub struct ExternalKafkaSpec {
    /// Brokers to begin with, `host:port` each.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 260)))]
    #[x_kube(
        validation = rules::brokers(),
        merge_strategy = ListMerge::Set
    )]
    pub brokers: Vec<String>,
    /// How clients say who they are. At most one way; none means no authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<KafkaAuthSpec>,
    /// Encryption; plaintext if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<KafkaTlsSpec>,
}

/// How Kafka's clients say who they are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::at_most_one(&["scram", "plain", "mtls"]))]
pub struct KafkaAuthSpec {
    /// User name and password, the password not sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scram: Option<ScramSpec>,
    /// User name and password as they are; only sensible with `tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain: Option<PlainSpec>,
    /// A client's certificate; needs `tls` with a `caCertificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<MtlsSpec>,
}

/// User name and password for SASL/SCRAM.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScramSpec {
    /// Kind of SCRAM; SCRAM-SHA-256 if absent.
    #[schemars(schema_with = "schema::choice::<ScramMechanism>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<ScramMechanism>,
    /// User name.
    pub username: SecretValue,
    /// Password.
    pub password: SecretValue,
}

/// Kind of SCRAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ScramMechanism {
    /// With SHA-256.
    #[default]
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    /// With SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

/// User name and password for SASL/PLAIN.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlainSpec {
    /// User name.
    pub username: SecretValue,
    /// Password.
    pub password: SecretValue,
}

/// A client's certificate.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MtlsSpec {
    /// The certificate, PEM.
    pub certificate: SecretValue,
    /// Its private key, PEM.
    pub key: SecretValue,
}

/// How the connection to Kafka is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTlsSpec {
    /// Certificate of the authority that signed the brokers', PEM; the system's authorities if absent. Beside `auth.mtls` it
    /// cannot be absent, as Dapr's sidecars end at a client's certificate without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<SecretValue>,
}

/// A cluster that the Strimzi operator runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrimziSpec {
    /// Brokers; 3 if absent. From 3 on there are three controllers and each event is kept three times; below, one
    /// controller and one copy. It cannot be changed from the one to the other later.
    #[schemars(range(min = 1, max = 9))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Volume of each broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageSpec>,
}

/// The topics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicsSpec {
    /// Partitions of each; 3 if absent. Cannot be changed later, as events of one task would be in two partitions then. In
    /// a Kafka that somebody else runs the operator makes none; there it says in `Degraded` which have another number.
    #[schemars(range(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
}
