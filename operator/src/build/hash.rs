//! What makes pods start anew: Dapr reads components, Configuration, Resiliency and the Secrets behind them only once,
//! when a sidecar starts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::secrets;
use crate::{
    names::{self, App},
    resolve::{Resolved, SecretRef, short_hash},
};

/// Digests of the Secrets' values that `user` needs, a component, service or embedded part being a user.
fn digests<'a>(platform: &'a Resolved, users: &[&str]) -> Vec<(String, Option<&'a String>)> {
    secrets::required_secrets(platform)
        .into_iter()
        .filter(|secret| users.iter().any(|user| secret.used_by.contains(*user)))
        .map(|secret| {
            let reference = SecretRef::new(secret.name, secret.key);
            (reference.to_string(), platform.digests.get(&reference))
        })
        .collect()
}

/// Annotation for the pods of a service.
pub(super) fn of_app(platform: &Resolved, app: App) -> BTreeMap<String, String> {
    let components: Vec<_> = super::dapr::component::all(platform)
        .into_iter()
        .filter(|component| component.scopes.iter().any(|scope| scope == app.id()))
        .collect();
    let names: Vec<&str> = components.iter().filter_map(|c| c.metadata.name.as_deref()).chain([app.id()]).collect();
    let content = (
        // Without metadata: a new label of a new operator release is no reason to restart a pod.
        components.iter().map(|c| (&c.metadata.name, &c.spec, &c.scopes)).collect::<Vec<_>>(),
        super::dapr::configuration::build(platform).spec,
        Some(super::dapr::resiliency::build(platform))
            .filter(|resiliency| resiliency.scopes.iter().any(|scope| scope == app.id()))
            .map(|resiliency| resiliency.spec),
        digests(platform, &names),
    );
    annotation(&content)
}

/// Annotation for the pod of something embedded, whose settings are in `config`.
pub(super) fn of_embedded(
    platform: &Resolved,
    name: &str,
    config: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    annotation(&(config, digests(platform, &[name])))
}

fn annotation(content: &impl Serialize) -> BTreeMap<String, String> {
    // Serialising our own structs of texts, numbers and maps with text keys cannot fail.
    let json = serde_json::to_vec(content).unwrap_or_default();
    BTreeMap::from([(names::config_hash_annotation(), short_hash(&json))])
}
