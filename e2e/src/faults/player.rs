//! Plays the part of the nodes, so that StatefulSets look as if their pods ran, and of the operators that run Kafka and PostgreSQL
//! where lives need them.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use todo_crds::{
    cloud_native_pg::Cluster,
    strimzi::{Kafka, KafkaTopic, KafkaUser},
};
use tokio::task::JoinSet;

use super::Life;

/// How soon a new one looks so.
const PERIOD: Duration = Duration::from_millis(300);

/// Plays until it is dropped.
pub struct Player {
    _task: JoinSet<()>,
}

impl Player {
    /// For all namespaces, with what lives of this kind need.
    pub fn start(client: Client, life: Life) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                // The API server may be away, or the object gone: then the next time.
                let _ = play(&client).await;
                if life == Life::Managed {
                    let _ = play_others(&client).await;
                }
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

async fn play_others(client: &Client) -> anyhow::Result<()> {
    let (kafka, user, topic) =
        (ApiResource::erase::<Kafka>(&()), ApiResource::erase::<KafkaUser>(&()), ApiResource::erase::<KafkaTopic>(&()));
    for resource in [kafka, user, topic] {
        play_other(client, &resource, |object| {
            let ready = json!([{"type": "Ready", "status": "True"}]);
            json!({"observedGeneration": object.metadata.generation, "conditions": ready})
        })
        .await?;
    }
    play_other(client, &ApiResource::erase::<Cluster>(&()), |object| {
        let instances = &object.data["spec"]["instances"];
        json!({"phase": "Cluster in healthy state", "readyInstances": instances, "currentPrimary": "postgres-1"})
    })
    .await
}

/// Has all objects of a kind say what `status` makes of them.
async fn play_other(
    client: &Client,
    resource: &ApiResource,
    status: impl Fn(&DynamicObject) -> Value,
) -> anyhow::Result<()> {
    for object in Api::<DynamicObject>::all_with(client.clone(), resource).list(&ListParams::default()).await? {
        let says = status(&object);
        if object.data["status"] == says {
            continue;
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &object.namespace().unwrap_or_default(), resource);
        let patch = Patch::Merge(json!({"status": says}));
        api.patch_status(&object.name_any(), &PatchParams::default(), &patch).await?;
    }
    Ok(())
}
