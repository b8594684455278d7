//! Writes the status, with a field manager of its own.

use std::time::Duration;

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, ObjectMeta},
};
use serde_json::{Value, json};
use todo_crds::platform::{TodoPlatform, TodoPlatformStatus};

use crate::{
    apply::{WriteError, ssa::while_leading},
    labels::MANAGED_BY,
    runtime::lease::Leadership,
};

/// How long the write may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Writes the status of the platform with this metadata. Returns the version of the resource that it made.
pub async fn write(
    client: &Client,
    metadata: &ObjectMeta,
    status: &TodoPlatformStatus,
    leadership: &Leadership,
) -> Result<Option<String>, WriteError> {
    let params = PatchParams::apply(&manager()).force();
    let patch = Patch::Apply(body(metadata, status));
    patch_status(client, metadata, &params, &patch, leadership).await
}

/// Writes the status of a platform that cannot be read. The API server applies nothing to what its schema cannot read
/// either, so this replaces what is there.
pub async fn replace(
    client: &Client,
    metadata: &ObjectMeta,
    status: &TodoPlatformStatus,
    leadership: &Leadership,
) -> Result<(), WriteError> {
    let params = PatchParams { field_manager: Some(manager()), ..PatchParams::default() };
    let patch = Patch::Merge(body(metadata, status));
    patch_status(client, metadata, &params, &patch, leadership).await.map(drop)
}

fn manager() -> String {
    format!("{MANAGED_BY}-status")
}

fn body(metadata: &ObjectMeta, status: &TodoPlatformStatus) -> Value {
    json!({
        "apiVersion": TodoPlatform::api_version(&()),
        "kind": TodoPlatform::kind(&()),
        // With its UID: never to one that took the name since.
        "metadata": {"name": metadata.name, "uid": metadata.uid},
        "status": status,
    })
}

async fn patch_status(
    client: &Client,
    metadata: &ObjectMeta,
    params: &PatchParams,
    patch: &Patch<Value>,
    leadership: &Leadership,
) -> Result<Option<String>, WriteError> {
    let resource = ApiResource::erase::<TodoPlatform>(&());
    let name = metadata.name.as_deref().unwrap_or_default();
    // Untyped, so that the status of a resource whose spec cannot be read can be written, too.
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), metadata.namespace.as_deref().unwrap_or_default(), &resource);
    let written = while_leading(leadership, DEADLINE, api.patch_status(name, params, patch)).await?;
    Ok(written.metadata.resource_version)
}
