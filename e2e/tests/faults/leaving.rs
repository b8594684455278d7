//! Objects that are deleted and do not go, as somebody's finalizer is on them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::json;
use todo_crds::{dapr::Component, platform::TodoPlatform};
use todo_e2e::{
    faults::{Ground, Options, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, watch_for},
};

const PUBSUB: &str = "kafka-pubsub";
const GROUP: &str = "another-group";
/// Longer than from one pass to the next, and than what Secrets were read is remembered.
const LOOKED: Duration = Duration::from_secs(20);

/// What the pods of each service are said to have read.
async fn read(client: &Client, namespace: &str) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let digest = |deployment: &Deployment| {
        let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
        template.annotations.as_ref()?.get("todoplatform.dev/config-hash").cloned()
    };
    let list = Api::<Deployment>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    Ok(list.iter().map(|deployment| (deployment.name_any(), digest(deployment))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_start_anew_for_a_component_only_when_it_is_written() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let (client, namespace) = (scene.client, scene.namespace.as_str());
    let platforms = scene.all::<TodoPlatform>();
    let components: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Component>(&()));
    let finalizers = async |finalizers: &[&str]| {
        let patch = json!({"metadata": {"finalizers": finalizers}});
        components.patch(PUBSUB, &PatchParams::default(), &Patch::Merge(patch)).await
    };
    let before = read(client, namespace).await?;

    finalizers(&["example.com/somebody"]).await?;
    components.delete(PUBSUB, &DeleteParams::default()).await?;
    scene.change_spec(&json!({"kafka": {"consumerGroup": GROUP}})).await?;
    let message = until("it is told that the component does not go", SETTLED, || async {
        let platform = platforms.get("todo").await?;
        let conditions = platform.status.map(|status| status.conditions).unwrap_or_default();
        let generation = platform.metadata.generation;
        let told = |one: &Condition| one.reason == "BeingDeleted" && one.observed_generation == generation;
        Ok(conditions.into_iter().find(told).map(|one| one.message))
    })
    .await?;
    anyhow::ensure!(message.contains(&format!("Component/{PUBSUB}")), "{message}");
    let meanwhile = read(client, namespace).await?;
    anyhow::ensure!(meanwhile == before, "pods were started with the old component: {before:?}, {meanwhile:?}");

    finalizers(&[]).await?;
    until("its pods are started anew", SETTLED, || async {
        let now = read(client, namespace).await?;
        Ok((now["backend-service"] != before["backend-service"]).then_some(()))
    })
    .await?;
    let written = components.get(PUBSUB).await?.data["spec"].to_string();
    anyhow::ensure!(written.contains(GROUP), "with the old component: {written}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_collected_of_a_platform_whose_end_cannot_be_seen_is_not_made_again() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let options = Options { relist: Some(5), ..Options::default() };
    let scene = Scene::with(&ground, options, Vec::new()).await?;
    scene.settle().await?;
    let (client, namespace, proxy) = (scene.client, scene.namespace.as_str(), &scene.proxy);

    let platforms = |verb| Target { verb, resource: "todoplatforms".to_owned(), ..Target::default() };
    proxy.set(["list", "watch"].map(|verb| Rule::always(platforms(verb), Fault::Refuse(500))).to_vec());
    until("platforms cannot be watched", SETTLED, || async { Ok((!proxy.happened().is_empty()).then_some(())) })
        .await?;
    let begun = Instant::now();
    Ground::platforms(client, namespace).delete("todo", &DeleteParams::background()).await?;
    let deployments = scene.all::<Deployment>();
    until("its services are collected", SETTLED, || async {
        Ok(deployments.list(&ListParams::default()).await?.items.is_empty().then_some(()))
    })
    .await?;
    watch_for(LOOKED, proxy).await;
    let ledger = proxy.ledger().since(begun);
    let made: Vec<_> = ledger.work().map(|entry| &entry.target).filter(|one| one.resource != "todoplatforms").collect();
    anyhow::ensure!(made.is_empty(), "{made:?}");
    let looked = ledger.all().any(|entry| entry.target.resource == "secrets");
    anyhow::ensure!(looked, "there was no pass:\n{ledger}");

    proxy.set(Vec::new());
    let kept = json!({"secretKeyRef": {"name": "postgres-connection", "key": "connection-string"}});
    let spec = json!({
        "kafka": {"external": {"brokers": ["127.0.0.1:9"]}},
        "postgres": {"external": {"connectionString": kept}},
    });
    Ground::make_platform_of(client, namespace, &spec).await?;
    scene.created().await.map(drop)
}
