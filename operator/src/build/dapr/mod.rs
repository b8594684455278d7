//! What the sidecars load.

pub mod annotations;
pub mod component;
pub mod configuration;
pub mod resiliency;

use super::{Object, Policy, Wave};
use crate::{names::App, resolve::Resolved};

/// Configuration, Resiliency and Components. They are there before the first sidecar starts: a sidecar whose
/// Configuration is missing does not start at all.
pub(super) fn objects(platform: &Resolved) -> Vec<Object> {
    let mut objects = vec![
        Object::of(Wave::Dapr, Policy::Apply, &configuration::build(platform)),
        Object::of(Wave::Dapr, Policy::Apply, &resiliency::build(platform)),
    ];
    objects.extend(component::all(platform).iter().map(|c| Object::of(Wave::Dapr, Policy::Apply, c)));
    objects
}

/// App ids of the services that speak to Kafka and PostgreSQL and read Secrets.
fn backed_apps() -> Vec<String> {
    let mut ids: Vec<_> = App::ALL.iter().filter(|app| app.has_backing_services()).map(ToString::to_string).collect();
    ids.sort();
    ids
}
