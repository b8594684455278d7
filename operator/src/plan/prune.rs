//! What is no longer wanted.

use std::collections::BTreeSet;

use kube::core::ApiResource;

use super::{Identity, Key, Live, ownership::is_controlled};
use crate::build::{DATA_KINDS, Desired};

/// One object to delete.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The object.
    pub key: Key,
    /// Its API.
    pub resource: ApiResource,
    /// Exactly this one, not one that took its name since.
    pub uid: String,
}

/// Objects with our label and this very platform as their controller that nobody asks for any more.
///
/// Data is never among them: a change of the spec must not be able to lose it.
pub(super) fn removals(desired: &Desired, live: &Live, identity: &Identity) -> Vec<Removal> {
    let wanted: BTreeSet<Key> = desired.objects.iter().map(Key::of).collect();
    live.objects
        .iter()
        .filter(|(key, _)| !wanted.contains(*key) && !DATA_KINDS.contains(&key.kind.as_str()))
        .filter(|(_, object)| object.metadata.deletion_timestamp.is_none())
        .filter(|(_, object)| is_controlled(identity, &object.metadata))
        .filter_map(|(key, object)| {
            let resource = live.resources.get(&key.kind)?.clone();
            Some(Removal { key: key.clone(), resource, uid: object.metadata.uid.clone()? })
        })
        .collect()
}
