//! Pods into which a service mesh has put a container, labels and annotations of its own.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use todo_crds::platform::{TodoPlatform, TodoPlatformSpec};

use super::*;
use crate::{
    names,
    observe::{parts, services},
    plan::Live,
    resolve::{Found, Settings, validate},
};

/// A pod that runs, as its owner asks for it and Dapr has changed it.
fn pod(app: &str, owner: &str) -> Value {
    let containers = if owner == "ReplicaSet" { vec!["app", "daprd"] } else { vec!["app"] };
    let owners = json!([{"apiVersion": "apps/v1", "kind": owner, "name": app, "uid": "1", "controller": true}]);
    json!({
        "metadata": {"name": format!("{app}-0"), "labels": {"app": app}, "annotations": {}, "ownerReferences": owners},
        "spec": {"containers": containers.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": containers.iter().map(|name| running(name)).collect::<Vec<_>>(),
        },
    })
}

fn running(container: &str) -> Value {
    json!({"name": container, "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
}

/// What Istio's webhook makes of it: a container before all others, one that ends, and marks.
fn into_a_mesh(pod: &mut Value) {
    pod["metadata"]["labels"]["security.istio.io/tlsMode"] = json!("istio");
    pod["metadata"]["labels"]["service.istio.io/canonical-name"] = json!("another");
    pod["metadata"]["annotations"]["sidecar.istio.io/status"] = json!("{\"containers\":[\"istio-proxy\"]}");
    pod["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "istio-proxy"}));
    pod["spec"]["initContainers"] = json!([{"name": "istio-init"}]);
    pod["status"]["containerStatuses"].as_array_mut().unwrap().insert(0, running("istio-proxy"));
    pod["status"]["initContainerStatuses"] = json!([{"name": "istio-init", "image": "", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]);
}

fn workload(kind: &str, name: &str) -> (Key, Arc<DynamicObject>) {
    let object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}});
    (Key { kind: kind.to_owned(), name: name.to_owned() }, Arc::new(serde_json::from_value(object).unwrap()))
}

/// What is said of a platform whose pods are these.
fn said_of(pods: Vec<Value>) -> Vec<Verdict> {
    let platform = TodoPlatform::new("todo", TodoPlatformSpec::default());
    let resolved = validate(&platform, &Settings::default(), &Found::default()).unwrap();
    let deployments = App::ALL.map(|app| workload("Deployment", app.id()));
    let sets = [names::KAFKA, names::POSTGRES].map(|name| workload("StatefulSet", name));
    let live = Live { objects: deployments.into_iter().chain(sets).collect(), ..Live::default() };
    let pods: Vec<Arc<Pod>> = pods.into_iter().map(|pod| Arc::new(serde_json::from_value(pod).unwrap())).collect();
    of_platform(|observed| {
        observed.infrastructure.parts = parts(&resolved, &live, &pods);
        observed.services = services(&resolved, &live, &pods, &[]);
    })
}

#[test]
fn what_a_mesh_puts_into_pods_changes_nothing_of_what_is_said() {
    let apps = App::ALL.map(|app| pod(app.id(), "ReplicaSet"));
    let sets = [names::KAFKA, names::POSTGRES].map(|name| pod(name, "StatefulSet"));
    let plain: Vec<Value> = apps.into_iter().chain(sets).collect();
    let mut meshed = plain.clone();
    meshed.iter_mut().for_each(into_a_mesh);
    let said = said_of(meshed.clone());
    assert_eq!(said, said_of(plain));
    assert_eq!(find(&said, "Ready").0, Some(true));

    // Only the sidecar of Dapr is one that has to be there.
    for pod in &mut meshed {
        pod["spec"]["containers"].as_array_mut().unwrap().retain(|container| container["name"] != "daprd");
    }
    assert_eq!(find(&said_of(meshed), "ServicesReady").0, Some(false));
}
