//! The lower bound: the same objects, applied by a client that does nothing else.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use todo_e2e::faults::Ground;

use super::{TOGETHER, through};

const MANAGER: &str = "bare-client";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What the operator made in a namespace, as it could be applied again.
pub(super) async fn objects(ground: &Ground, namespace: &str) -> anyhow::Result<Vec<(ApiResource, Value)>> {
    let mut all = Vec::new();
    for resource in ground.kinds.resources() {
        let api: Api<DynamicObject> = Api::namespaced_with(ground.client.clone(), namespace, resource);
        let made = ListParams::default().labels(&format!("{MANAGED_BY}=todo-operator"));
        for object in api.list(&made).await? {
            all.push((resource.clone(), bare(resource, &object)?));
        }
    }
    anyhow::ensure!(!all.is_empty(), "the operator made nothing");
    Ok(all)
}

/// Without what the API server gives it, and with a label by which no operator takes it for its own.
fn bare(resource: &ApiResource, object: &DynamicObject) -> anyhow::Result<Value> {
    let mut labels = object.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let mut body = serde_json::to_value(object)?;
    body["apiVersion"] = json!(resource.api_version);
    body["kind"] = json!(resource.kind);
    body["metadata"] =
        json!({"name": object.metadata.name, "labels": labels, "annotations": object.metadata.annotations});
    if let Some(fields) = body.as_object_mut() {
        fields.remove("status");
    }
    if let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    Ok(body)
}

/// Applies them in so many namespaces. Answers how many objects are applied in a second.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 objects")]
pub(super) async fn rate(ground: &Ground, objects: &[(ApiResource, Value)], namespaces: usize) -> anyhow::Result<f64> {
    let proxy = ground.proxy().await?;
    let client = through(&proxy)?;
    let mut names = Vec::new();
    for number in 0..namespaces {
        let name = format!("raw-{number:04}");
        ground.plane.namespace(&name).await?;
        names.push(name);
    }
    let all = names.iter().flat_map(|name| objects.iter().map(move |object| (name, object)));
    let apply = stream::iter(all).map(async |(name, (resource, body))| {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), name, resource);
        let object = body["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply(MANAGER).force();
        api.patch(object, &params, &Patch::Apply(body)).await.map(drop)
    });
    let begun = Instant::now();
    apply.buffer_unordered(TOGETHER).try_collect::<Vec<()>>().await?;
    Ok((names.len() * objects.len()) as f64 / begun.elapsed().as_secs_f64())
}
