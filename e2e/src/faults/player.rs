//! Plays the part of the nodes: StatefulSets look as if their pods ran.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::task::JoinSet;

/// How soon a new one looks so.
const PERIOD: Duration = Duration::from_millis(300);

/// Plays until it is dropped.
pub struct Player {
    _task: JoinSet<()>,
}

impl Player {
    /// For all namespaces.
    pub fn start(client: Client) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                // The API server may be away, or the object gone: then the next time.
                let _ = play(&client).await;
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self { _task: task }
    }
}

async fn play(client: &Client) -> anyhow::Result<()> {
    let all: Api<StatefulSet> = Api::all(client.clone());
    for set in all.list(&ListParams::default()).await? {
        let generation = set.metadata.generation;
        if set.status.as_ref().and_then(|status| status.observed_generation) == generation {
            continue;
        }
        let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = json!({"status": {
            "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
            "updatedReplicas": replicas, "availableReplicas": replicas,
        }});
        let api: Api<StatefulSet> = Api::namespaced(client.clone(), &set.namespace().unwrap_or_default());
        api.patch_status(&set.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    }
    Ok(())
}
