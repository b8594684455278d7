use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// A topic of a Kafka cluster. It has the object's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, CustomResource)]
#[kube(
    group = "kafka.strimzi.io",
    version = "v1",
    kind = "KafkaTopic",
    plural = "kafkatopics",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicSpec {
    /// Partitions.
    pub partitions: u32,
    /// Copies of each partition.
    pub replicas: i32,
}
