//! The broker, with every default filled in.

use super::{SecretRef, Storage};

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
