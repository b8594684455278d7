//! From what should be and what is to what has to be done. Pure: nothing here asks a cluster or a clock.
//!
//! An object is in order if it carries the hash of what was last applied and still has every field of it. So neither a
//! restart of the operator nor a second pass writes anything, and whatever somebody changed is seen.

pub mod diff;
pub mod gate;
mod keep;
pub mod ownership;
mod pods;
mod prune;
mod scale;
pub mod slim;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use kube::core::{ApiResource, DynamicObject, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    build::{Desired, Object, Policy, Wave},
    names,
    resolve::SecretKey,
};
pub use ownership::{Identity, Standing};
pub use prune::Removal;

/// Annotation with the hash of what was last applied.
pub fn desired_hash_annotation() -> String {
    format!("{}/desired-hash", names::GROUP)
}

/// Annotation of a Deployment whose number of pods is an autoscaler's to choose.
pub fn autoscaled_annotation() -> String {
    format!("{}/autoscaled", names::GROUP)
}

/// Kind and name of an object; the namespace is always the platform's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// For example `Deployment`.
    pub kind: String,
    /// Name of the object.
    pub name: String,
}

impl Key {
    /// Key of a desired object.
    pub fn of(object: &Object) -> Self {
        Self { kind: object.resource.kind.clone(), name: object.name().to_owned() }
    }

    /// Key of an object that exists.
    pub fn of_live(kind: &str, object: &DynamicObject) -> Self {
        Self { kind: kind.to_owned(), name: object.metadata.name.clone().unwrap_or_default() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Metadata of a Secret. Its values never leave the module that reads them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct LiveSecret {
    /// Name, UID, when it was made, labels and owner references.
    pub metadata: ObjectMeta,
    /// The keys that it has, and that are not empty.
    pub keys: BTreeSet<String>,
}

/// What exists in the platform's namespace.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Objects with our label, from the watches.
    pub objects: BTreeMap<Key, Arc<DynamicObject>>,
    /// Those of them that were found to have all of what was last applied, and have not changed since. Of their bodies only
    /// the parts are there that somebody needs.
    pub verified: BTreeSet<Key>,
    /// Those that were written since the watches have brought what is here of them.
    pub outdated: BTreeSet<Key>,
    /// The API behind each kind that is watched.
    pub resources: BTreeMap<String, ApiResource>,
    /// The Secrets that the platform names and that exist.
    pub secrets: BTreeMap<String, LiveSecret>,
}

impl Live {
    /// An object with our label.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Arc<DynamicObject>> {
        self.objects.get(&Key { kind: kind.to_owned(), name: name.to_owned() })
    }

    /// Whether an object was written since the watches have brought what is here of it.
    pub fn is_outdated(&self, kind: &str, name: &str) -> bool {
        self.outdated.iter().any(|key| key.kind == kind && key.name == name)
    }
}

/// What has to be true before something is made for the first time.
#[derive(Clone, Debug, Default, Hash)]
pub struct Gates {
    /// Keys of Secrets that are needed and are not there.
    pub missing_secrets: Vec<SecretKey>,
    /// Whether Dapr can give a pod its sidecar.
    pub dapr_ready: bool,
    /// Whether broker and database can be used.
    pub infrastructure_ready: bool,
}

/// What has to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Writes, by wave.
    pub steps: Vec<Step>,
    /// What is not made yet, and what it waits for.
    pub held: Vec<Held>,
    /// Objects of our names that are somebody else's.
    pub foreign: Vec<Foreign>,
    /// Objects that exist and were found to be as they should be.
    pub in_order: Vec<Key>,
    /// Data that exists and is to get another fate, as `deletionPolicy` says.
    pub fates: Vec<Fate>,
    /// What is no longer wanted; removed only after every step worked.
    pub removals: Vec<Removal>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.removals.is_empty()
    }

    /// Adds that an object is applied, to what is there of it if anything is known to be.
    fn apply(&mut self, object: &Object, body: DynamicObject, current: Option<&DynamicObject>, scaling: Scaling) {
        let reads_anew = keep::reads_anew(&body, current);
        let present = current.map(|current| Present {
            uid: current.metadata.uid.clone().unwrap_or_default(),
            version: current.metadata.resource_version.clone(),
            scaling,
        });
        let action = Action::Apply { body: Box::new(body), present, reads_anew };
        self.steps.push(Step { wave: object.wave, key: Key::of(object), resource: object.resource.clone(), action });
    }

    fn hold(&mut self, object: &Object, hold: Hold, reason: String) {
        self.held.push(Held { key: Key::of(object), wave: object.wave, hold, reason });
    }

    /// Notes whether an object that is there, and is to be written, gets another fate.
    fn note_fate(&mut self, object: &Object, current: &ObjectMeta) {
        let goes = ownership::is_owned(current);
        if object.is_data() && goes != ownership::is_owned(&object.body.metadata) {
            self.fates.push(Fate { key: Key::of(object), goes });
        }
    }
}

/// One write.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it is done.
    pub wave: Wave,
    /// The object.
    pub key: Key,
    /// Its API.
    pub resource: ApiResource,
    /// What is done.
    pub action: Action,
}

/// What is done to one object.
#[derive(Clone, Debug)]
pub enum Action {
    /// Server-side apply.
    Apply {
        /// What is applied, its hash included.
        body: Box<DynamicObject>,
        /// What is changed by it; absent if nothing is known to be there, and then nothing but a new object is made.
        present: Option<Present>,
        /// Whether it makes pods that bear the digest of what they read, which those that run do not.
        reads_anew: bool,
    },
    /// Creation of what is never overwritten.
    Create(Box<DynamicObject>),
    /// Labels and owner references of a Secret that we made, with its UID and the version that they are based on.
    Relabel(Value),
}

/// An object that is there and is to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub version: Option<String>,
    /// Who chooses its number of pods.
    pub scaling: Scaling,
}

/// Who chooses a number of pods, the spec or an autoscaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// The same as before.
    #[default]
    Kept,
    /// An autoscaler from now on, and it goes on from this number, which has to be set for it.
    HandedOver(i32),
    /// The spec from now on.
    TakenOver,
}

impl Step {
    /// Who chooses the number of pods of what is changed.
    pub fn scaling(&self) -> Scaling {
        match &self.action {
            Action::Apply { present: Some(present), .. } => present.scaling,
            Action::Apply { present: None, .. } | Action::Create(_) | Action::Relabel(_) => Scaling::Kept,
        }
    }
}

/// Something that is not made yet, or left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The object.
    pub key: Key,
    /// When we would have applied it.
    pub wave: Wave,
    /// What kind of thing it waits for.
    pub hold: Hold,
    /// What it waits for, in words.
    pub reason: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

/// What kind of thing an object waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Something that comes first, of which something else tells.
    Turn,
    /// Its kind cannot be watched.
    Unwatched,
    /// The object of its name is on its way out.
    Leaving,
    /// An end of what somebody does to it again and again.
    Truce,
}

/// Data of which `deletionPolicy` says something else than its owner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The object.
    pub key: Key,
    /// Whether it goes with the platform as long as it is not written.
    pub goes: bool,
}

/// An object of one of our names that is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The object.
    pub key: Key,
    /// When we would have applied it.
    pub wave: Wave,
    /// Why it is not ours, and what to do.
    pub message: String,
}

/// Compares what should be with what is.
pub fn plan(desired: &Desired, live: &Live, identity: &Identity, gates: &Gates) -> Plan {
    let mut plan = Plan::default();
    for object in &desired.objects {
        match object.policy {
            Policy::CreateOnce => plan_secret(&mut plan, object, live, identity),
            Policy::Apply => plan_apply(&mut plan, desired, object, live, identity, gates),
        }
    }
    plan.removals = prune::removals(desired, live, identity);
    plan
}

fn plan_apply(plan: &mut Plan, desired: &Desired, object: &Object, live: &Live, identity: &Identity, gates: &Gates) {
    let key = Key::of(object);
    if !live.resources.contains_key(&key.kind) {
        let reason = format!("no {} of {} can be watched", key.kind, object.resource.api_version);
        return plan.hold(object, Hold::Unwatched, reason);
    }
    let Some(current) = live.objects.get(&key) else {
        return match gate::closed(object, gates, plan) {
            Some(reason) => plan.hold(object, Hold::Turn, reason),
            None => plan.apply(object, finished(object, None, gates, false), None, Scaling::Kept),
        };
    };
    match ownership::standing(identity, &current.metadata) {
        Standing::Foreign(message) => plan.foreign.push(Foreign { key, wave: object.wave, message }),
        Standing::Leaving(reason) => plan.hold(object, Hold::Leaving, reason),
        Standing::Ours if keep::untouched(object, gates) => {}
        Standing::Ours => {
            let body = finished(object, Some(current), gates, scale::is_left(current, live, identity));
            let scaling = scale::scaling(desired, &body, current);
            plan_change(plan, object, current, body, scaling, live);
        }
    }
}

fn plan_change(
    plan: &mut Plan,
    object: &Object,
    current: &DynamicObject,
    body: DynamicObject,
    scaling: Scaling,
    live: &Live,
) {
    let key = Key::of(object);
    if !matches!(scaling, Scaling::HandedOver(_)) {
        if live.verified.contains(&key) && diff::desired_hash(&body) == diff::desired_hash(current) {
            return;
        }
        if diff::in_order(&body, current) {
            return plan.in_order.push(key);
        }
    }
    plan.note_fate(object, &current.metadata);
    plan.apply(object, body, Some(current), scaling);
}

/// The object as it is applied, with its hash, and without a number of pods if that is left to an autoscaler.
fn finished(object: &Object, current: Option<&DynamicObject>, gates: &Gates, is_left: bool) -> DynamicObject {
    let mut body = object.body.clone();
    if is_left && let Some(spec) = body.data.get_mut("spec").and_then(Value::as_object_mut) {
        // All others keep their places, and so the body its hash.
        spec.retain(|field, _| field != "replicas");
    }
    if object.resource.kind == "Deployment" && body.data.pointer("/spec/replicas").is_none() {
        body.metadata.annotations.get_or_insert_default().insert(autoscaled_annotation(), "true".to_owned());
    }
    if let Some(current) = current {
        keep::keep(object, &mut body, current, gates);
    }
    let hash = diff::hash(&body);
    body.metadata.annotations.get_or_insert_default().insert(desired_hash_annotation(), hash);
    body
}

fn plan_secret(plan: &mut Plan, object: &Object, live: &Live, identity: &Identity) {
    let key = Key::of(object);
    let action = match live.secrets.get(&key.name) {
        None => Action::Create(Box::new(object.body.clone())),
        Some(current) => match ownership::standing(identity, &current.metadata) {
            // Soon gone: what begins to use it would be restarted with the value of the next one.
            Standing::Leaving(reason) => return plan.hold(object, Hold::Leaving, reason),
            // Used as it is.
            Standing::Foreign(_) => return,
            Standing::Ours => {
                let Some(patch) = relabelled(object, current) else { return };
                plan.note_fate(object, &current.metadata);
                Action::Relabel(patch)
            }
        },
    };
    plan.steps.push(Step { wave: object.wave, key, resource: object.resource.clone(), action });
}

/// A merge patch that gives a Secret our labels and the owner references that `deletionPolicy` asks for. It replaces the
/// whole list, so it names the version that was read: an owner that somebody added since is not lost.
fn relabelled(object: &Object, current: &LiveSecret) -> Option<Value> {
    let wanted = object.body.metadata.owner_references.clone().unwrap_or_default();
    let present = current.metadata.owner_references.clone().unwrap_or_default();
    let others = present.iter().filter(|owner| owner.kind != "TodoPlatform").cloned();
    let owners: Vec<_> = others.chain(wanted).collect();
    let labels = object.body.metadata.labels.clone().unwrap_or_default();
    let labelled = labels.iter().all(|(name, value)| {
        current.metadata.labels.as_ref().and_then(|labels| labels.get(name)).is_some_and(|present| present == value)
    });
    if labelled && owners == present {
        return None;
    }
    let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
    let ObjectMeta { uid, resource_version, .. } = &current.metadata;
    Some(json!({"metadata": {
        "uid": uid, "resourceVersion": resource_version, "labels": labels, "ownerReferences": owners,
    }}))
}

#[cfg(test)]
mod tests;
