//! What is kept in memory of an object that was found to be as it was applied: whose it is, what of it is kept whatever the
//! spec says, and what other controllers say about it. The rest need not be compared again before the object changes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{autoscaled_annotation, desired_hash_annotation, keep};
use crate::names::platform_label;

/// The parts of bodies that are read of objects that exist, as JSON pointers; so is what keeps pods from being replaced, and of
/// a Component's settings the consumer group.
const KEPT: [&str; 6] =
    ["/status", "/spec/replicas", "/spec/instances", "/spec/resources", "/spec/storage", "/spec/storageClassName"];

/// What is kept of `object`.
pub fn slim(object: &DynamicObject) -> DynamicObject {
    let mut data = json!({});
    for pointer in KEPT.into_iter().chain([keep::config_hash().as_str()]) {
        if let Some(value) = object.data.pointer(pointer) {
            put(&mut data, pointer, value.clone());
        }
    }
    if let Some(group) = consumer_group(&object.data) {
        put(&mut data, "/spec/metadata", json!([group]));
    }
    DynamicObject { types: object.types.clone(), metadata: metadata(&object.metadata), data }
}

fn metadata(all: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: all.name.clone(),
        namespace: all.namespace.clone(),
        uid: all.uid.clone(),
        resource_version: all.resource_version.clone(),
        generation: all.generation,
        creation_timestamp: all.creation_timestamp.clone(),
        deletion_timestamp: all.deletion_timestamp.clone(),
        owner_references: all.owner_references.clone(),
        labels: only(all.labels.as_ref(), &[platform_label()]),
        annotations: only(all.annotations.as_ref(), &[desired_hash_annotation(), autoscaled_annotation()]),
        ..ObjectMeta::default()
    }
}

fn only(all: Option<&BTreeMap<String, String>>, names: &[String]) -> Option<BTreeMap<String, String>> {
    let kept = all?.iter().filter(|(name, _)| names.contains(name));
    Some(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The setting of a Component that names its consumer group.
pub fn consumer_group(component: &Value) -> Option<&Value> {
    component.pointer("/spec/metadata")?.as_array()?.iter().find(|setting| setting["name"] == "consumerGroup")
}

/// Puts a value where a JSON pointer says, and makes the objects above it.
fn put(data: &mut Value, pointer: &str, value: Value) {
    let names = pointer.split('/').skip(1).map(|name| name.replace("~1", "/"));
    *names.fold(data, |place, name| &mut place[name]) = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::config_hash_annotation;

    #[test]
    fn what_is_read_of_objects_that_exist_is_kept_and_nothing_else() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "backend-service", "namespace": "todo", "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": {platform_label(): "todo", "app": "backend-service"},
                "annotations": {desired_hash_annotation(): "h", "deployment.kubernetes.io/revision": "1"},
                "finalizers": ["x"],
            },
            "spec": {
                "replicas": 2,
                "selector": {},
                "template": {"metadata": {"annotations": {config_hash_annotation(): "c", "dapr.io/enabled": "true"}}},
                "metadata": [{"name": "brokers", "value": "b"}, {"name": "consumerGroup", "value": "g"}],
            },
            "status": {"readyReplicas": 2},
        }))
        .unwrap();
        let expected = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "backend-service", "namespace": "todo", "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": {platform_label(): "todo"},
                "annotations": {desired_hash_annotation(): "h"},
            },
            "spec": {
                "replicas": 2,
                "template": {"metadata": {"annotations": {config_hash_annotation(): "c"}}},
                "metadata": [{"name": "consumerGroup", "value": "g"}],
            },
            "status": {"readyReplicas": 2},
        });
        assert_eq!(serde_json::to_value(slim(&object)).unwrap(), expected);
    }
}
