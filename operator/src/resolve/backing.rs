//! Kafka and PostgreSQL.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use todo_crds::platform::{self as api, ScramMechanism};

use super::{
    CloudNativePg, ExternalKafka, Found, Kafka, KafkaAuth, KafkaMode, KafkaTls, ManagedStorage, PodMetadata, Postgres,
    PostgresMode, SaslMechanism, SecretRef, Settings, Storage, Strimzi, check, defaults,
    services::{pod_metadata, resources},
    validate::Checks,
};
use crate::names;

/// Smallest and largest limit of a message's size, in bytes.
const MESSAGE_BYTES: (i64, i64) = (1024, 104_857_600);
/// Most partitions of a topic.
const MOST_PARTITIONS: i64 = 100;
/// Most brokers to begin with.
const MOST_BROKERS: usize = 16;
/// Most brokers or servers that another operator runs.
const MOST_SERVERS: i64 = 9;

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
    if matches!(auth, KafkaAuth::Mtls { .. }) && spec.tls.is_none() {
        checks.refuse(format!("{PATH}.auth.mtls"), "needs TLS; write tls: {} beside auth, or tls with a caCertificate");
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

/// Settings of PostgreSQL.
pub(super) fn postgres(
    checks: &mut Checks,
    spec: Option<&api::PostgresSpec>,
    settings: &Settings,
    found: &Found,
) -> Postgres {
    let spec = spec.cloned().unwrap_or_default();
    checks.at_most_one(
        "spec.postgres",
        &[
            ("embedded", spec.embedded.is_some()),
            ("external", spec.external.is_some()),
            ("cloudNativePg", spec.cloud_native_pg.is_some()),
        ],
    );
    if let Some(external) = &spec.external {
        return Postgres {
            mode: PostgresMode::External { port: found.postgres_port.unwrap_or(names::POSTGRES_PORT) },
            connection_string: checks.secret("spec.postgres.external.connectionString", &external.connection_string),
        };
    }
    if let Some(spec) = &spec.cloud_native_pg {
        const PATH: &str = "spec.postgres.cloudNativePg";
        let instances = spec.instances.unwrap_or(defaults::INSTANCES);
        return Postgres {
            mode: PostgresMode::CloudNativePg(CloudNativePg {
                instances: servers(checks, &format!("{PATH}.instances"), instances),
                storage: managed_storage(checks, PATH, spec.storage.as_ref()),
            }),
            connection_string: SecretRef::new(names::POSTGRES_APP_SECRET, names::URI_KEY),
        };
    }
    let default = Storage {
        image: settings.postgres_image.clone(),
        size: Quantity(defaults::STORAGE_SIZE.to_owned()),
        class: None,
        resources: defaults::postgres_resources(),
        pod: PodMetadata::default(),
    };
    Postgres {
        mode: PostgresMode::Embedded(storage(checks, "spec.postgres.embedded", spec.embedded.as_ref(), default)),
        connection_string: SecretRef::new(names::POSTGRES_SECRET, names::CONNECTION_STRING_KEY),
    }
}

fn servers(checks: &mut Checks, path: &str, number: i32) -> i32 {
    checks.take(path, check::number(i64::from(number), 1, MOST_SERVERS));
    number
}

/// What is given, and the default for the rest.
fn managed_storage(checks: &mut Checks, path: &str, spec: Option<&api::StorageSpec>) -> ManagedStorage {
    let spec = spec.cloned().unwrap_or_default();
    let size = spec.size.unwrap_or_else(|| Quantity(defaults::MANAGED_STORAGE_SIZE.to_owned()));
    checks.test(&format!("{path}.storage.size"), check::volume_size(&size.0));
    ManagedStorage { size, class: spec.storage_class_name }
}

/// What is given, and the default for the rest.
fn storage(checks: &mut Checks, path: &str, spec: Option<&api::EmbeddedSpec>, default: Storage) -> Storage {
    let Some(spec) = spec else { return default };
    let volume = spec.storage.clone().unwrap_or_default();
    let size = volume.size.unwrap_or(default.size);
    checks.test(&format!("{path}.storage.size"), check::volume_size(&size.0));
    Storage {
        size,
        class: volume.storage_class_name,
        resources: resources(checks, &format!("{path}.resources"), spec.resources.as_ref(), default.resources),
        pod: pod_metadata(checks, path, spec.pod_annotations.clone(), spec.pod_labels.clone()),
        image: default.image,
    }
}
