//! What is there and stays as it is, whatever the spec says: a change would be refused, or would do harm.

use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::Gates;
use crate::{
    build::Object,
    names::{self, App},
    resolve::{Maker, SecretKey, quantity},
};

/// How large the volumes of a `Cluster` of CloudNativePG are, as a JSON pointer.
const CLUSTER_SIZE: &str = "/spec/storage/size";

/// Whether nothing of an object that exists is written for now. The port of an external database is in its connection
/// string; without that, the policy of a service that reaches it would close the port that is in use.
pub(super) fn untouched(object: &Object, gates: &Gates) -> bool {
    let reaches_it = |app: &App| app.has_backing_services() && app.id() == object.name();
    let is_of_database =
        |secret: &SecretKey| secret.maker == Maker::User && secret.used_by.contains(names::STATE_STORE);
    object.resource.kind == "NetworkPolicy"
        && App::ALL.iter().any(reaches_it)
        && gates.missing_secrets.iter().any(is_of_database)
}

/// Makes `body` keep what `current` has.
pub(super) fn keep(object: &Object, body: &mut DynamicObject, current: &DynamicObject, gates: &Gates) {
    if !gates.missing_secrets.is_empty() {
        pods(body, current);
    }
    match object.resource.kind.as_str() {
        "PersistentVolumeClaim" => claim(body, current),
        "Cluster" => size(body.data.pointer_mut(CLUSTER_SIZE), current.data.pointer(CLUSTER_SIZE)),
        "KafkaNodePool" => pool(body, current),
        _ => {}
    }
}

/// While a Secret is missing, its digest is, too. Pods that run are not restarted for that: they could not start again.
fn pods(body: &mut DynamicObject, current: &DynamicObject) {
    let path = config_hash();
    if let (Some(wanted), Some(running)) = (body.data.pointer_mut(&path), current.data.pointer(&path)) {
        *wanted = running.clone();
    }
}

/// Whether pods that `body` makes bear another digest of what they read than those of `current`.
pub(super) fn reads_anew(body: &DynamicObject, current: Option<&DynamicObject>) -> bool {
    let path = config_hash();
    let wanted = body.data.pointer(&path);
    wanted.is_some() && wanted != current.and_then(|current| current.data.pointer(&path))
}

/// Where a workload has the digest of what its pods read, as a JSON pointer.
pub(super) fn config_hash() -> String {
    format!("/spec/template/metadata/annotations/{}", names::config_hash_annotation().replace('/', "~1"))
}

/// A volume never shrinks and never changes its class.
fn claim(body: &mut DynamicObject, current: &DynamicObject) {
    const SIZE: &str = "/spec/resources/requests/storage";
    const CLASS: &str = "storageClassName";
    size(body.data.pointer_mut(SIZE), current.data.pointer(SIZE));
    if let Some(spec) = body.data.get_mut("spec").and_then(Value::as_object_mut)
        && spec.contains_key(CLASS)
    {
        class(spec, CLASS, current.data.pointer("/spec/storageClassName"));
    }
}

/// Strimzi takes up nothing of a volume that is to shrink or to change its class, `deleteClaim` neither.
fn pool(body: &mut DynamicObject, current: &DynamicObject) {
    const VOLUMES: &str = "/spec/storage/volumes";
    let present = current.data.pointer(VOLUMES).and_then(Value::as_array);
    let wanted = body.data.pointer_mut(VOLUMES).and_then(Value::as_array_mut);
    for wanted in wanted.into_iter().flatten().filter_map(Value::as_object_mut) {
        let same = |one: &&Value| one.get("id") == wanted.get("id");
        let Some(present) = present.into_iter().flatten().find(same) else { continue };
        size(wanted.get_mut("size"), present.get("size"));
        class(wanted, "class", present.get("class"));
    }
}

/// One that is the same keeps its place among the fields, and so the body its hash.
fn class(wanted: &mut Map<String, Value>, name: &str, present: Option<&Value>) {
    match present {
        Some(present) => drop(wanted.insert(name.to_owned(), present.clone())),
        None => drop(wanted.remove(name)),
    }
}

/// A volume may be larger than asked for: retained from an earlier platform, or grown by hand.
fn size(wanted: Option<&mut Value>, present: Option<&Value>) {
    if let (Some(wanted), Some(present)) = (wanted, present)
        && is_larger(present, wanted)
    {
        *wanted = present.clone();
    }
}

fn is_larger(one: &Value, other: &Value) -> bool {
    let value = |size: &Value| size.as_str().and_then(quantity::value);
    matches!((value(one), value(other)), (Some(one), Some(other)) if one > other)
}
