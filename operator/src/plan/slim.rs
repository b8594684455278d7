//! What is kept in memory of an object that was found to be as it was applied: whose it is, what of it is kept whatever the
//! spec says, and what other controllers say about it. The rest need not be compared again before the object changes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::DynamicObject;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::{autoscaled_annotation, desired_hash_annotation, keep};
use crate::names::platform_label;

/// The parts of bodies that are read of objects that exist, as JSON pointers; so is what keeps pods from being replaced, and of
/// a Component's settings the consumer group.
const KEPT: [&str; 6] =
    ["/status", "/spec/replicas", "/spec/instances", "/spec/resources", "/spec/storage", "/spec/storageClassName"];

/// What is kept of an object. Its JSON is a list: a map would name the fields anew for each of many objects.
#[derive(Clone, Debug, Deserialize)]
pub struct Slim {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    created: Option<Time>,
    deleted: Option<Time>,
    owners: Vec<Owner>,
    platform: Option<String>,
    desired_hash: Option<String>,
    autoscaled: Option<String>,
    data: Value,
}

/// An owner reference, as a list, too.
type Owner = (String, String, String, String, Option<bool>, Option<bool>);

/// What is kept of `object`.
pub fn slim(object: &DynamicObject) -> Slim {
    let mut data = json!({});
    for pointer in KEPT.into_iter().chain([keep::config_hash().as_str()]) {
        if let Some(value) = object.data.pointer(pointer) {
            put(&mut data, pointer, value.clone());
        }
    }
    if let Some(group) = consumer_group(&object.data) {
        put(&mut data, "/spec/metadata", json!([group]));
    }
    let metadata = &object.metadata;
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).cloned();
    Slim {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        generation: metadata.generation,
        created: metadata.creation_timestamp.clone(),
        deleted: metadata.deletion_timestamp.clone(),
        owners: metadata.owner_references.iter().flatten().cloned().map(owner).collect(),
        platform: metadata.labels.as_ref().and_then(|labels| labels.get(&platform_label()).cloned()),
        desired_hash: annotation(&desired_hash_annotation()),
        autoscaled: annotation(&autoscaled_annotation()),
        data,
    }
}

impl From<Slim> for DynamicObject {
    fn from(slim: Slim) -> Self {
        let owners: Vec<_> = slim.owners.into_iter().map(reference).collect();
        let annotations = [(desired_hash_annotation(), slim.desired_hash), (autoscaled_annotation(), slim.autoscaled)];
        let annotations: BTreeMap<_, _> =
            annotations.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let metadata = ObjectMeta {
            name: slim.name,
            namespace: slim.namespace,
            uid: slim.uid,
            resource_version: slim.resource_version,
            generation: slim.generation,
            creation_timestamp: slim.created,
            deletion_timestamp: slim.deleted,
            owner_references: (!owners.is_empty()).then_some(owners),
            labels: slim.platform.map(|platform| [(platform_label(), platform)].into()),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        };
        Self { types: None, metadata, data: slim.data }
    }
}

impl Serialize for Slim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // In the order of the fields, as that is how they are read.
        let Self { name, namespace, uid, resource_version, generation, created, deleted, .. } = self;
        let Self { owners, platform, desired_hash, autoscaled, data, .. } = self;
        let list = (
            name,
            namespace,
            uid,
            resource_version,
            generation,
            created,
            deleted,
            owners,
            platform,
            desired_hash,
            autoscaled,
            data,
        );
        list.serialize(serializer)
    }
}

fn owner(reference: OwnerReference) -> Owner {
    let OwnerReference { api_version, kind, name, uid, controller, block_owner_deletion } = reference;
    (api_version, kind, name, uid, controller, block_owner_deletion)
}

fn reference((api_version, kind, name, uid, controller, block_owner_deletion): Owner) -> OwnerReference {
    OwnerReference { api_version, kind, name, uid, controller, block_owner_deletion }
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
        let owner = json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform", "name": "todo", "uid": "4",
            "controller": true, "blockOwnerDeletion": true,
        });
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "backend-service", "namespace": "todo", "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-01-03T03:04:05Z",
                "ownerReferences": [owner],
                "labels": {platform_label(): "todo", "app": "backend-service"},
                "annotations": {
                    desired_hash_annotation(): "h",
                    autoscaled_annotation(): "true",
                    "deployment.kubernetes.io/revision": "1",
                },
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
            "metadata": {
                "name": "backend-service", "namespace": "todo", "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-01-03T03:04:05Z",
                "ownerReferences": [owner],
                "labels": {platform_label(): "todo"},
                "annotations": {desired_hash_annotation(): "h", autoscaled_annotation(): "true"},
            },
            "spec": {
                "replicas": 2,
                "template": {"metadata": {"annotations": {config_hash_annotation(): "c"}}},
                "metadata": [{"name": "consumerGroup", "value": "g"}],
            },
            "status": {"readyReplicas": 2},
        });
        assert_eq!(restored(&object), expected);
    }
    #[test]
    fn what_an_object_does_not_have_is_not_there_afterwards_either() {
        let object = json!({"metadata": {"name": "x"}});
        assert_eq!(restored(&serde_json::from_value(object.clone()).unwrap()), object);
    }

    /// As it is seen after it was kept.
    fn restored(object: &DynamicObject) -> Value {
        let kept: Slim = serde_json::from_slice(&serde_json::to_vec(&slim(object)).unwrap()).unwrap();
        serde_json::to_value(DynamicObject::from(kept)).unwrap()
    }
}
