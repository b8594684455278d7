//! Embedded Kafka: one broker that is its own controller, for trials and small systems.

mod config_map;
mod stateful_set;

pub(super) use config_map::message_max_bytes;

use super::{
    Object, Policy, Wave, pvc,
    service::{self, Port},
};
use crate::{
    names,
    resolve::{Resolved, Storage},
};

/// Everything of the broker but its Secrets and its network policy.
pub(super) fn objects(platform: &Resolved, storage: &Storage) -> Vec<Object> {
    let port = Port { name: "kafka", number: names::KAFKA_PORT, target: names::KAFKA_PORT };
    vec![
        Object::of(Wave::Foundation, Policy::Apply, &config_map::build(platform)),
        pvc::object(platform, names::KAFKA, names::KAFKA_CLAIM, storage),
        Object::of(Wave::Infrastructure, Policy::Apply, &service::build(platform, names::KAFKA, &port)),
        Object::of(Wave::Infrastructure, Policy::Apply, &stateful_set::build(platform, storage)),
    ]
}
