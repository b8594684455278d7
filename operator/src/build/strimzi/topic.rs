//! The topics.

use todo_crds::strimzi::{KafkaTopic, KafkaTopicSpec};

use super::metadata;
use crate::resolve::{Resolved, Strimzi};

/// `KafkaTopic` `name`.
pub(super) fn build(platform: &Resolved, strimzi: &Strimzi, name: &str) -> KafkaTopic {
    let spec = KafkaTopicSpec { partitions: platform.kafka.partitions, replicas: strimzi.copies() };
    let mut topic = KafkaTopic::new(name, spec);
    topic.metadata = metadata(platform, name);
    topic
}
