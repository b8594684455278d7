//! Pods without a sidecar, whose deletion goes wrong.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, OF_WRITES, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, condition, watch_for},
};

const APP: &str = "frontend-service";
/// Longer than a deletion that failed waits for the next try, and than one that lands twice takes.
const LOOKED: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn one_pod_and_no_other_is_deleted_for_a_missing_sidecar_whatever_becomes_of_the_deletion() -> anyhow::Result<()>
{
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let lives = OF_WRITES.map(|fault| {
        let ground = &ground;
        async move { repaired(ground, fault).await.with_context(|| format!("the deletion: {fault}")) }
    });
    try_join_all(lives).await.map(drop)
}

/// A service one of whose pods has no sidecar. Nobody makes or runs pods here, so this does what a `ReplicaSet` would; but it
/// gives the new pod the name of the old one, so that a deletion by name alone would hit it.
async fn repaired(ground: &Ground, fault: Fault) -> anyhow::Result<()> {
    let scene = Scene::settled(ground).await?;
    let deletion = Target { verb: "delete", resource: "pods".to_owned(), ..Target::default() };
    scene.proxy.set(vec![Rule::once(deletion, fault)]);

    let spec = scene.all::<Deployment>().get(APP).await?.spec.context("no spec")?;
    let set = json!({"metadata": {"name": APP}, "spec": {"selector": spec.selector, "template": spec.template}});
    let set = scene.all::<ReplicaSet>().create(&PostParams::default(), &serde_json::from_value(set)?).await?;
    let pods = scene.all::<Pod>();
    let make = async |name: &str, has_sidecar: bool| {
        let mut pod = json!({"metadata": spec.template.metadata, "spec": spec.template.spec});
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": APP, "uid": set.uid(), "controller": true});
        (pod["metadata"]["name"], pod["metadata"]["ownerReferences"]) = (json!(name), json!([owner]));
        if let Some(containers) = pod["spec"]["containers"].as_array_mut().filter(|_| has_sidecar) {
            containers.push(json!({"name": "daprd", "image": "daprd"}));
        }
        let made = pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        anyhow::Ok(made.uid())
    };
    let well = make("well", true).await?;
    make("bare", false).await?;
    until("the pod without a sidecar is gone", SETTLED, || async {
        Ok(pods.get_opt("bare").await?.is_none().then_some(()))
    })
    .await
    .with_context(|| scene.operator.last_words(12))?;
    let anew = make("bare", true).await?;

    watch_for(LOOKED, &scene.proxy).await;
    let ledger = scene.proxy.ledger();
    anyhow::ensure!(!scene.proxy.happened().is_empty(), "it never came");
    let left: Vec<_> = pods.list(&ListParams::default()).await?.iter().map(ResourceExt::uid).collect();
    anyhow::ensure!(left == [anew, well], "other pods were deleted:\n{ledger}");
    let other = ledger.all().find(|entry| entry.target.verb == "delete" && entry.target.name != "bare");
    anyhow::ensure!(other.is_none(), "{other:?}");
    let told = condition(scene.client, &scene.namespace, "ServicesReady").await?;
    anyhow::ensure!(told.as_ref().is_some_and(|told| told.reason != "SidecarMissing"), "{told:?}");
    Ok(())
}
