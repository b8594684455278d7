//! What a cluster would have when the operator comes: the kinds of this project and of Dapr, and Dapr's injector.

use std::{path::Path, time::Duration};

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    cluster::{Tools, settings::DAPR_NAMESPACE},
    harness::until,
};

/// How long the API server may take to serve a kind.
const SERVED: Duration = Duration::from_secs(30);

pub(super) async fn install(client: &Client, tools: &Tools) -> anyhow::Result<()> {
    let own = Path::new(env!("TODO_PLATFORM_CHECKOUT")).join("crds/yaml");
    for folder in [own, tools.dapr_chart().join("crds")] {
        define_all(client, &folder).await?;
    }
    injector(client).await
}

/// Installs the definitions in the files of a folder.
pub(super) async fn define_all(client: &Client, folder: &Path) -> anyhow::Result<()> {
    for file in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(file?.path())?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            define(client, &CustomResourceDefinition::deserialize(document)?).await?;
        }
    }
    Ok(())
}

async fn define(client: &Client, definition: &CustomResourceDefinition) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    api.create(&PostParams::default(), definition).await?;
    let (name, spec) = (definition.name_any(), &definition.spec);
    let version = spec.versions.iter().find(|version| version.storage).map(|version| version.name.clone());
    let kind = GroupVersionKind::gvk(&spec.group, &version.unwrap_or_default(), &spec.names.kind);
    let objects: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, &spec.names.plural));
    // Its condition is true before its storage is ready.
    until(&format!("{name} is served"), SERVED, || async {
        objects.list(&ListParams::default()).await?;
        Ok(Some(()))
    })
    .await
}

/// A Deployment as Dapr's chart makes it, with a status as if its pod ran.
async fn injector(client: &Client) -> anyhow::Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": DAPR_NAMESPACE}}))?;
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let name = "dapr-sidecar-injector";
    let labels = json!({"app": name});
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": name,
                    "image": "ghcr.io/dapr/injector:1.16.14",
                    "env": [{"name": "SIDECAR_DROP_ALL_CAPABILITIES", "value": "true"}],
                }]},
            },
        },
    }))?;
    let api: Api<Deployment> = Api::namespaced(client.clone(), DAPR_NAMESPACE);
    api.create(&PostParams::default(), &deployment).await?;
    let status = json!({"status": {"replicas": 1, "readyReplicas": 1}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}
