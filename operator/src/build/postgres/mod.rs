//! Embedded PostgreSQL: one server, for trials and small systems.

mod config_map;
mod stateful_set;

use super::{
    Object, Policy, Wave, pvc,
    service::{self, Port},
};
use crate::{
    names,
    resolve::{Resolved, Storage},
};

/// Everything of the server but its Secret and its network policy.
pub(super) fn objects(platform: &Resolved, storage: &Storage) -> Vec<Object> {
    let port = Port { name: "postgres", number: names::POSTGRES_PORT, target: names::POSTGRES_PORT };
    vec![
        Object::of(Wave::Foundation, Policy::Apply, &config_map::build(platform)),
        pvc::object(platform, names::POSTGRES, names::POSTGRES_CLAIM, storage),
        Object::of(Wave::Infrastructure, Policy::Apply, &service::build(platform, names::POSTGRES, &port)),
        Object::of(Wave::Infrastructure, Policy::Apply, &stateful_set::build(platform, storage)),
    ]
}
