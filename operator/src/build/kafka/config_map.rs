//! Settings and scripts of embedded Kafka.

use std::{collections::BTreeMap, fmt::Write as _};

use k8s_openapi::api::core::v1::ConfigMap;

use crate::{build::owned, names, resolve::Resolved};

/// Room for a batch's header beside the largest message.
const BATCH_OVERHEAD: u64 = 1024;

/// `ConfigMap` of the broker.
pub(super) fn build(platform: &Resolved) -> ConfigMap {
    ConfigMap {
        metadata: owned(platform, names::KAFKA_CONFIG, Some(names::KAFKA)),
        data: Some(data(platform)),
        ..ConfigMap::default()
    }
}

/// The files, by name.
pub(super) fn data(platform: &Resolved) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("format.sh".to_owned(), include_str!("format.sh").to_owned()),
        ("log4j2.properties".to_owned(), include_str!("log4j2.properties").to_owned()),
        ("server.properties".to_owned(), server_properties(platform)),
        ("start.sh".to_owned(), include_str!("start.sh").to_owned()),
    ])
}

/// What a broker has to take so that the largest message comes through.
pub(in crate::build) const fn message_max_bytes(platform: &Resolved) -> u64 {
    platform.kafka.max_message_bytes + BATCH_OVERHEAD
}

fn server_properties(platform: &Resolved) -> String {
    let (name, port, namespace) = (names::KAFKA, names::KAFKA_PORT, &platform.namespace);
    let message_max_bytes = message_max_bytes(platform).to_string();
    let clients = format!("SASL_PLAINTEXT://{name}.{namespace}.svc:{port}");
    let all_interfaces = format!("SASL_PLAINTEXT://:{port}");
    // LOCAL and CONTROLLER are on loopback: nobody but this pod reaches them, so they need no password.
    let loopback = "LOCAL://127.0.0.1:9094";
    let settings = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@127.0.0.1:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", &format!("{all_interfaces},{loopback},CONTROLLER://127.0.0.1:9093")),
        ("advertised.listeners", &format!("{clients},{loopback}")),
        ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("inter.broker.listener.name", "LOCAL"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-256"),
        (
            "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        ("log.dirs", "/var/lib/kafka/data/logs"),
        // The operator makes the topics, with the partitions that the platform asks for.
        ("auto.create.topics.enable", "false"),
        ("message.max.bytes", &message_max_bytes),
        // One broker: nothing can be kept twice.
        ("default.replication.factor", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "3"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        // Waiting for further consumers at first start only delays the first event.
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    settings.iter().fold(String::new(), |mut text, (key, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key}={value}");
        text
    })
}
