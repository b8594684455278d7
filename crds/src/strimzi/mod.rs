//! The Strimzi kinds that the operator writes, as Rust types: those of `kafka.strimzi.io/v1`, which Strimzi has since 0.49.
//!
//! Strimzi's own CRDs define far more than is here; a field is added when the operator writes it. What Strimzi says about
//! an object is in its `status.conditions`, which is read as it comes.

// `CustomResource` makes the structs of the kinds, without words about them.
#![allow(missing_docs)]

mod kafka;
mod node_pool;
mod topic;
mod user;

pub use kafka::{
    ContainerTemplate, EntityOperatorSpec, EntityOperatorTemplate, Kafka, KafkaClusterSpec, KafkaSpec, Listener,
    OperatorSpec,
};
pub use node_pool::{KafkaNodePool, KafkaNodePoolSpec, NodePoolTemplate, PoolStorage, Role, Volume};
pub use topic::{KafkaTopic, KafkaTopicSpec};
pub use user::{Acl, AclResource, KafkaUser, KafkaUserSpec, UserAuthorization};

use serde::{Deserialize, Serialize};

/// Where the kinds are.
pub const GROUP_VERSION: &str = "kafka.strimzi.io/v1";
/// Their names.
pub const KINDS: [&str; 4] = ["Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"];
/// Label by which everything names the `Kafka` that it belongs to.
pub const CLUSTER_LABEL: &str = "strimzi.io/cluster";
/// Label that Strimzi gives to the pods of one part.
pub const NAME_LABEL: &str = "strimzi.io/name";

/// One of several ways to do something, and nothing else about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Type {
    /// Its name.
    #[serde(rename = "type")]
    pub type_: String,
}

impl Type {
    /// The way of this name.
    pub fn of(name: &str) -> Self {
        Self { type_: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;

    #[test]
    fn every_kind_has_the_names_that_strimzis_crds_give_it() {
        let path = |plural: &str| format!("/apis/kafka.strimzi.io/v1/namespaces/todo/{plural}");
        assert_eq!(Kafka::url_path(&(), Some("todo")), path("kafkas"));
        assert_eq!(KafkaNodePool::url_path(&(), Some("todo")), path("kafkanodepools"));
        assert_eq!(KafkaTopic::url_path(&(), Some("todo")), path("kafkatopics"));
        assert_eq!(KafkaUser::url_path(&(), Some("todo")), path("kafkausers"));
        let kinds = [Kafka::kind(&()), KafkaNodePool::kind(&()), KafkaTopic::kind(&()), KafkaUser::kind(&())];
        assert_eq!(kinds, KINDS);
        assert_eq!(Kafka::api_version(&()), GROUP_VERSION);
    }
}
