//! The broker, with every default filled in.

use todo_crds::platform::REDUNDANT_BROKERS;

use super::{ManagedStorage, SecretRef, Storage};

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
    /// Partitions that each topic of somebody else's Kafka should have, if the spec says so.
    pub expected_partitions: Option<u32>,
}

/// Which broker.
#[derive(Clone, Debug)]
pub enum KafkaMode {
    /// A broker of our own.
    Embedded(Storage),
    /// Someone else's.
    External(ExternalKafka),
    /// One that Strimzi runs for the platform.
    Strimzi(Strimzi),
}

/// A cluster that Strimzi runs.
#[derive(Clone, Debug)]
pub struct Strimzi {
    /// Brokers.
    pub brokers: i32,
    /// Volume of each broker.
    pub storage: ManagedStorage,
}

impl Strimzi {
    /// Controllers.
    pub const fn controllers(&self) -> i32 {
        if self.is_redundant() { 3 } else { 1 }
    }

    /// Copies of each event.
    pub const fn copies(&self) -> i32 {
        if self.is_redundant() { 3 } else { 1 }
    }

    /// Copies that an event needs before it counts as published: one broker may be away.
    pub const fn in_sync_copies(&self) -> i32 {
        if self.is_redundant() { 2 } else { 1 }
    }

    /// The API lets no platform go from one side to the other.
    const fn is_redundant(&self) -> bool {
        self.brokers >= REDUNDANT_BROKERS
    }
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
