//! Writes the status, with a field manager of its own.

use std::time::Duration;

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, ObjectMeta},
};
use serde_json::json;
use todo_crds::platform::{TodoPlatform, TodoPlatformStatus};

use crate::{
    apply::{WriteError, ssa::while_leading},
    labels::MANAGED_BY,
    runtime::lease::Leadership,
};

/// How long the write may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Writes the status of the platform with this metadata. Answers the version of the resource that it made.
pub async fn write(
    client: &Client,
    metadata: &ObjectMeta,
    status: &TodoPlatformStatus,
    leadership: &Leadership,
) -> Result<Option<String>, WriteError> {
    let resource = ApiResource::erase::<TodoPlatform>(&());
    let name = metadata.name.as_deref().unwrap_or_default();
    // Untyped, so that the status of a resource whose spec cannot be read can be written, too.
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), metadata.namespace.as_deref().unwrap_or_default(), &resource);
    let params = PatchParams::apply(&format!("{MANAGED_BY}-status")).force();
    let patch = json!({
        "apiVersion": TodoPlatform::api_version(&()),
        "kind": TodoPlatform::kind(&()),
        // With its UID: never to one that took the name since.
        "metadata": {"name": name, "uid": metadata.uid},
        "status": status,
    });
    let patch = Patch::Apply(patch);
    let written = while_leading(leadership, DEADLINE, api.patch_status(name, &params, &patch)).await?;
    Ok(written.metadata.resource_version)
}
