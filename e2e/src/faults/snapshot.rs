//! All objects of a namespace, without what differs from one run to the next.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::ApiResource,
    discovery::{Discovery, Scope, verbs},
};
use serde_json::{Value, json};

/// Kinds that say what happened, or that other controllers make of what is there.
const BESIDES: [&str; 5] = ["Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision"];
/// Differs each time.
const METADATA: [&str; 5] = ["uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink"];
/// Lists at the same time.
const CONCURRENCY: usize = 4;

/// The kinds that objects of a namespace can be of.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<ApiResource>);

impl Kinds {
    /// Asks the API server.
    pub async fn of(client: &Client) -> anyhow::Result<Self> {
        let discovery = Discovery::new(client.clone()).run().await?;
        // Not those of each group's preferred version alone: Dapr's has only some of its kinds.
        let all = discovery.groups().flat_map(kube::discovery::ApiGroup::resources_by_stability);
        let listed = all.filter(|(resource, capabilities)| {
            capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST)
                && !BESIDES.contains(&resource.kind.as_str())
        });
        Ok(Self(listed.map(|(resource, _)| resource).collect()))
    }

    /// All of them.
    pub fn resources(&self) -> &[ApiResource] {
        &self.0
    }
}

/// What a namespace holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    objects: BTreeMap<String, Value>,
    uids: BTreeMap<String, String>,
    /// Hashes of what the namespace's name is a part of, by object and annotation.
    hashes: BTreeMap<String, Value>,
}

impl Snapshot {
    /// Reads everything.
    pub async fn take(client: &Client, kinds: &Kinds, namespace: &str) -> anyhow::Result<Self> {
        let lists = stream::iter(kinds.0.clone()).map(|resource| async move {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            let list = api.list(&ListParams::default()).await?;
            anyhow::Ok(list.items.into_iter().map(move |object| (resource.kind.clone(), object)).collect::<Vec<_>>())
        });
        let found: Vec<_> = lists.buffer_unordered(CONCURRENCY).try_collect().await?;
        let mut snapshot = Self::default();
        for (kind, object) in found.into_iter().flatten() {
            let key = format!("{kind}/{}", object.metadata.name.as_deref().unwrap_or_default());
            // Every namespace has it by itself.
            if key == "ConfigMap/kube-root-ca.crt" {
                continue;
            }
            snapshot.uids.insert(key.clone(), object.metadata.uid.clone().unwrap_or_default());
            let mut value = serde_json::to_value(&object)?;
            snapshot.hashes.extend(take_hashes(&mut value).map(|(path, hash)| (format!("{key}{path}"), hash)));
            normalise(&kind, &mut value);
            snapshot.objects.insert(key, value);
        }
        // Pods are told their platform's name for good.
        let platform =
            snapshot.uids.iter().find(|(key, _)| key.starts_with("TodoPlatform/")).map(|(_, uid)| uid.clone());
        for value in snapshot.objects.values_mut() {
            let mut text = value.to_string().replace(namespace, "NAMESPACE");
            if let Some(uid) = &platform {
                text = text.replace(uid, "UID");
            }
            *value = serde_json::from_str(&text)?;
        }
        Ok(snapshot)
    }

    /// Without numbers that only count changes.
    #[must_use]
    pub fn without_generations(mut self) -> Self {
        self.objects.values_mut().for_each(forget_generations);
        self
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Keys of objects, as `Kind/name`.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }

    /// An object by its key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Objects that are in both, and are not the same ones: somebody deleted and made them anew.
    pub fn made_anew(&self, before: &Self) -> Vec<String> {
        let other = |key: &&String| before.uids.get(*key).is_some_and(|uid| self.uids[*key] != *uid);
        self.uids.keys().filter(other).cloned().collect()
    }

    /// Hashes that are others than before, in the same namespace: pods of theirs are replaced.
    pub fn changed_hashes(&self, before: &Self) -> Vec<String> {
        let other = |(key, hash): &(&String, &Value)| before.hashes.get(*key).is_some_and(|before| before != *hash);
        self.hashes.iter().filter(other).map(|(key, _)| format!("{key} is another than before")).collect()
    }

    /// What is different from `expected`, a line for each field.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for key in self.objects.keys().chain(expected.objects.keys().filter(|key| !self.objects.contains_key(*key))) {
            match (self.objects.get(key), expected.objects.get(key)) {
                (Some(is), Some(should)) => differences(key, is, should, &mut lines),
                (Some(_), None) => lines.push(format!("{key} should not be there")),
                (None, _) => lines.push(format!("{key} is not there")),
            }
        }
        lines
    }
}

fn differences(path: &str, is: &Value, should: &Value, lines: &mut Vec<String>) {
    match (is, should) {
        (Value::Object(is), Value::Object(should)) => {
            for key in is.keys().chain(should.keys().filter(|key| !is.contains_key(*key))) {
                let of = |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                differences(&format!("{path} {key}"), &of(is), &of(should), lines);
            }
        }
        _ if is != should => lines.push(format!("{path}: {is} instead of {should}")),
        _ => {}
    }
}

fn forget_generations(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "generation" | "observedGeneration"));
            fields.values_mut().for_each(forget_generations);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_generations),
        _ => {}
    }
}

/// Takes the values of annotations that are hashes, by their paths.
fn take_hashes(object: &mut Value) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut taken = Vec::new();
    for annotations in ["/metadata/annotations", "/spec/template/metadata/annotations"] {
        for (name, value) in object.pointer_mut(annotations).and_then(Value::as_object_mut).into_iter().flatten() {
            if name.ends_with("-hash") {
                taken.push((format!("{annotations}/{name}"), std::mem::replace(value, json!("…"))));
            }
        }
    }
    taken.into_iter()
}

fn normalise(kind: &str, object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in METADATA {
            metadata.remove(field);
        }
        for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            owner["uid"] = json!("…");
        }
    }
    if matches!(kind, "Deployment" | "StatefulSet") {
        // Counts more than what replaces pods, which is counted by itself.
        for (part, field) in [("metadata", "generation"), ("status", "observedGeneration")] {
            object[part].as_object_mut().and_then(|part| part.remove(field));
        }
    }
    if kind == "Secret" {
        for value in object["data"].as_object_mut().into_iter().flatten().map(|(_, value)| value) {
            *value = json!("…");
        }
    }
    if kind == "Service" {
        // Given by the API server.
        for field in ["clusterIP", "clusterIPs"] {
            object["spec"].as_object_mut().and_then(|spec| spec.remove(field));
        }
    }
    for condition in object.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        condition.as_object_mut().and_then(|condition| condition.remove("lastTransitionTime"));
    }
}
