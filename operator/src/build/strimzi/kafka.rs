//! The cluster.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use todo_crds::strimzi::{
    ContainerTemplate, EntityOperatorSpec, EntityOperatorTemplate, Kafka, KafkaClusterSpec, KafkaSpec, Listener,
    OperatorSpec, Type,
};

use super::restricted;
use crate::{
    build::{data_metadata, kafka::message_max_bytes, network, pod::env},
    names,
    resolve::{Resolved, Strimzi},
};

/// `Kafka` `kafka`.
pub(super) fn build(platform: &Resolved, strimzi: &Strimzi) -> Kafka {
    // One that goes with the cluster would wait for the operator for topics, which goes with the cluster too.
    let without_finalizers = ContainerTemplate { env: vec![env("STRIMZI_USE_FINALIZERS", "false")], ..restricted() };
    let spec = KafkaSpec {
        kafka: KafkaClusterSpec {
            listeners: vec![Listener {
                name: "tls".to_owned(),
                port: names::KAFKA_TLS_PORT,
                type_: "internal".to_owned(),
                tls: true,
                authentication: Type::of("scram-sha-512"),
                network_policy_peers: platform.network_policy.as_ref().map(|_| network::backed()),
            }],
            authorization: Type::of("simple"),
            config: config(platform, strimzi),
        },
        entity_operator: EntityOperatorSpec {
            topic_operator: OperatorSpec::default(),
            user_operator: OperatorSpec::default(),
            template: EntityOperatorTemplate {
                topic_operator_container: without_finalizers,
                user_operator_container: restricted(),
            },
        },
    };
    let mut kafka = Kafka::new(names::KAFKA, spec);
    kafka.metadata = data_metadata(platform, names::KAFKA, Some(names::KAFKA));
    kafka
}

/// Kafka's own settings. What is not here is as Strimzi has it.
fn config(platform: &Resolved, strimzi: &Strimzi) -> BTreeMap<String, Value> {
    let (copies, in_sync) = (strimzi.copies(), strimzi.in_sync_copies());
    [
        // The operator for topics makes them, with the partitions that the platform asks for.
        ("auto.create.topics.enable", json!(false)),
        ("default.replication.factor", json!(copies)),
        ("message.max.bytes", json!(message_max_bytes(platform))),
        ("min.insync.replicas", json!(in_sync)),
        ("offsets.topic.replication.factor", json!(copies)),
        ("transaction.state.log.min.isr", json!(in_sync)),
        ("transaction.state.log.replication.factor", json!(copies)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
