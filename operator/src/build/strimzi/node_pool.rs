//! The nodes: brokers, whose number may change, and controllers, whose number Kafka cannot change.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use todo_crds::strimzi::{KafkaNodePool, KafkaNodePoolSpec, NodePoolTemplate, PoolStorage, Role, Volume};

use super::{metadata, restricted};
use crate::{
    names,
    resolve::{Resolved, Strimzi},
};

/// Volume of a controller, which keeps no events.
const CONTROLLER_SIZE: &str = "5Gi";

/// The pool of one role.
pub(super) fn build(platform: &Resolved, strimzi: &Strimzi, role: Role) -> KafkaNodePool {
    let (name, replicas, size) = match role {
        Role::Broker => (names::KAFKA_BROKERS, strimzi.brokers, strimzi.storage.size.clone()),
        Role::Controller => (names::KAFKA_CONTROLLERS, strimzi.controllers(), Quantity(CONTROLLER_SIZE.to_owned())),
    };
    let volume = Volume {
        id: 0,
        type_: "persistent-claim".to_owned(),
        size,
        class: strimzi.storage.class.clone(),
        delete_claim: !platform.retain_data,
        kraft_metadata: "shared".to_owned(),
    };
    let spec = KafkaNodePoolSpec {
        replicas,
        roles: vec![role],
        storage: PoolStorage { type_: "jbod".to_owned(), volumes: vec![volume] },
        template: NodePoolTemplate { kafka_container: restricted() },
    };
    let mut pool = KafkaNodePool::new(name, spec);
    pool.metadata = metadata(platform, name);
    pool
}
