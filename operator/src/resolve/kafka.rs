//! The broker, with every default filled in.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use todo_crds::platform::{self as api, REDUNDANT_BROKERS, ScramMechanism};

use super::{
    ManagedStorage, PodMetadata, SecretRef, Settings, Storage, check,
    checks::Checks,
    defaults,
    storage::{managed_storage, servers, storage},
};

/// Smallest and largest limit of a message's size, in bytes.
const MESSAGE_BYTES: (i64, i64) = (1024, 104_857_600);
/// Most partitions of a topic.
const MOST_PARTITIONS: i64 = 100;
/// Most brokers to begin with.
const MOST_BROKERS: usize = 16;

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

/// As whom a platform comes to somebody else's Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who that is, in words for those who run it.
    pub who: String,
    /// The group that it consumes in.
    pub consumer_group: String,
}

impl Kafka {
    /// As whom the platform comes to a broker that someone else runs, if it is one.
    pub fn account(&self) -> Option<Account> {
        let KafkaMode::External(external) = &self.mode else { return None };
        let who = match &external.auth {
            KafkaAuth::None => "User:ANONYMOUS, as there is no auth,".to_owned(),
            KafkaAuth::Password { username, .. } => format!("the user in {username}"),
            KafkaAuth::Mtls { certificate, .. } => format!("the owner of the certificate in {certificate}"),
        };
        Some(Account { who, consumer_group: self.consumer_group.clone() })
    }
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

/// Settings of Kafka.
pub(super) fn kafka(checks: &mut Checks, spec: Option<&api::KafkaSpec>, settings: &Settings) -> Kafka {
    let spec = spec.cloned().unwrap_or_default();
    let consumer_group = spec.consumer_group.clone().unwrap_or_else(|| defaults::CONSUMER_GROUP.to_owned());
    checks.test("spec.kafka.consumerGroup", check::consumer_group(&consumer_group));
    let max_message_bytes = spec.max_message_bytes.and_then(|bytes| {
        checks.take("spec.kafka.maxMessageBytes", check::number(bytes, MESSAGE_BYTES.0, MESSAGE_BYTES.1))
    });
    let retry = spec.consume_retry_interval.and_then(|interval| {
        let (least, most) = (Duration::from_millis(10), Duration::from_mins(1));
        checks.take("spec.kafka.consumeRetryInterval", check::duration(interval, least, most))
    });
    let given = spec.topics.as_ref().and_then(|topics| topics.partitions);
    let partitions = given.unwrap_or(defaults::PARTITIONS);
    checks.take("spec.kafka.topics.partitions", check::number(i64::from(partitions), 1, MOST_PARTITIONS));
    Kafka {
        mode: kafka_mode(checks, &spec, settings),
        consumer_group,
        max_message_bytes: max_message_bytes.map_or(defaults::MAX_MESSAGE_BYTES, i64::unsigned_abs),
        consume_retry_interval: retry
            .map_or_else(|| defaults::CONSUME_RETRY_INTERVAL.to_owned(), |retry| format!("{}ms", retry.as_millis())),
        partitions: partitions.unsigned_abs(),
        expected_partitions: given.filter(|_| spec.external.is_some()).map(i32::unsigned_abs),
    }
}

fn kafka_mode(checks: &mut Checks, spec: &api::KafkaSpec, settings: &Settings) -> KafkaMode {
    checks.at_most_one(
        "spec.kafka",
        &[
            ("embedded", spec.embedded.is_some()),
            ("external", spec.external.is_some()),
            ("strimzi", spec.strimzi.is_some()),
        ],
    );
    match (&spec.external, &spec.strimzi) {
        (Some(external), _) => KafkaMode::External(external_kafka(checks, external)),
        (None, Some(strimzi)) => KafkaMode::Strimzi(self::strimzi(checks, strimzi)),
        (None, None) => KafkaMode::Embedded(storage(
            checks,
            "spec.kafka.embedded",
            spec.embedded.as_ref(),
            Storage {
                image: settings.kafka_image.clone(),
                size: Quantity(defaults::STORAGE_SIZE.to_owned()),
                class: None,
                resources: defaults::kafka_resources(),
                pod: PodMetadata::default(),
            },
        )),
    }
}

fn strimzi(checks: &mut Checks, spec: &api::StrimziSpec) -> Strimzi {
    const PATH: &str = "spec.kafka.strimzi";
    Strimzi {
        brokers: servers(checks, &format!("{PATH}.replicas"), spec.replicas.unwrap_or(defaults::BROKERS)),
        storage: managed_storage(checks, PATH, spec.storage.as_ref()),
    }
}

fn external_kafka(checks: &mut Checks, spec: &api::ExternalKafkaSpec) -> ExternalKafka {
    const PATH: &str = "spec.kafka.external";
    if spec.brokers.is_empty() || spec.brokers.len() > MOST_BROKERS {
        let message = format!("has {}; write between 1 and {MOST_BROKERS}", spec.brokers.len());
        checks.refuse(format!("{PATH}.brokers"), message);
    }
    for (index, broker) in spec.brokers.iter().enumerate() {
        checks.test(&format!("{PATH}.brokers[{index}]"), check::broker(broker));
    }
    let auth = spec.auth.as_ref().map_or(KafkaAuth::None, |auth| kafka_auth(checks, auth));
    // Dapr up to 1.18 panics at a client's certificate without an authority's (dapr/components-contrib#4583).
    if matches!(auth, KafkaAuth::Mtls { .. }) && spec.tls.as_ref().is_none_or(|tls| tls.ca_certificate.is_none()) {
        let message = "needs TLS with the brokers' authority; write tls with caCertificate beside auth";
        checks.refuse(format!("{PATH}.auth.mtls"), message);
    }
    let tls = spec.tls.as_ref().map(|tls| KafkaTls {
        ca_certificate: tls.ca_certificate.as_ref().map(|ca| checks.secret(&format!("{PATH}.tls.caCertificate"), ca)),
    });
    ExternalKafka { brokers: spec.brokers.clone(), auth, tls }
}

fn kafka_auth(checks: &mut Checks, spec: &api::KafkaAuthSpec) -> KafkaAuth {
    const PATH: &str = "spec.kafka.external.auth";
    checks.at_most_one(
        PATH,
        &[("scram", spec.scram.is_some()), ("plain", spec.plain.is_some()), ("mtls", spec.mtls.is_some())],
    );
    if let Some(scram) = &spec.scram {
        let mechanism = match scram.mechanism.unwrap_or_default() {
            ScramMechanism::Sha256 => SaslMechanism::ScramSha256,
            ScramMechanism::Sha512 => SaslMechanism::ScramSha512,
        };
        let username = checks.secret(&format!("{PATH}.scram.username"), &scram.username);
        let password = checks.secret(&format!("{PATH}.scram.password"), &scram.password);
        KafkaAuth::Password { mechanism, username, password }
    } else if let Some(plain) = &spec.plain {
        let username = checks.secret(&format!("{PATH}.plain.username"), &plain.username);
        let password = checks.secret(&format!("{PATH}.plain.password"), &plain.password);
        KafkaAuth::Password { mechanism: SaslMechanism::Plain, username, password }
    } else if let Some(mtls) = &spec.mtls {
        let certificate = checks.secret(&format!("{PATH}.mtls.certificate"), &mtls.certificate);
        let key = checks.secret(&format!("{PATH}.mtls.key"), &mtls.key);
        KafkaAuth::Mtls { certificate, key }
    } else {
        KafkaAuth::None
    }
}
