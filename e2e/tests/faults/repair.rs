//! Pods without a sidecar: how the operator learns of them, and what becomes of their deletion.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;
use todo_e2e::{
    faults::{Ground, OF_WATCHES, OF_WRITES, Options, SETTLED},
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
/// What becomes of deletions that are not to work yet.
const REFUSED: Fault = Fault::Refuse(500);
/// Seconds after which the operator lists pods anew, whatever became of the watch.
const RELIST: u32 = 5;

/// Pods of a service. Nobody makes or runs pods here, so tests do what a `ReplicaSet` would.
struct Pods {
    api: Api<Pod>,
    spec: DeploymentSpec,
    /// UID of their `ReplicaSet`.
    set: Option<String>,
}

impl Pods {
    async fn of(scene: &Scene<'_>) -> anyhow::Result<Self> {
        let spec = scene.all::<Deployment>().get(APP).await?.spec.context("no spec")?;
        let set = json!({"metadata": {"name": APP}, "spec": {"selector": spec.selector, "template": spec.template}});
        let set = scene.all::<ReplicaSet>().create(&PostParams::default(), &serde_json::from_value(set)?).await?;
        Ok(Self { api: scene.all(), spec, set: set.uid() })
    }

    /// Makes one, and answers its UID.
    async fn make(&self, name: &str, has_sidecar: bool) -> anyhow::Result<Option<String>> {
        let mut pod = json!({"metadata": self.spec.template.metadata, "spec": self.spec.template.spec});
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": APP, "uid": self.set, "controller": true});
        (pod["metadata"]["name"], pod["metadata"]["ownerReferences"]) = (json!(name), json!([owner]));
        if let Some(containers) = pod["spec"]["containers"].as_array_mut().filter(|_| has_sidecar) {
            containers.push(json!({"name": "daprd", "image": "daprd"}));
        }
        Ok(self.api.create(&PostParams::default(), &serde_json::from_value(pod)?).await?.uid())
    }

    async fn is_gone(&self, name: &str, scene: &Scene<'_>) -> anyhow::Result<()> {
        until(&format!("the pod {name} is gone"), SETTLED, || async {
            Ok(self.api.get_opt(name).await?.is_none().then_some(()))
        })
        .await
        .with_context(|| scene.operator.last_words(12))
    }

    async fn left(&self) -> anyhow::Result<Vec<Option<String>>> {
        Ok(self.api.list(&ListParams::default()).await?.iter().map(ResourceExt::uid).collect())
    }
}

/// Waits until the status says that a pod has no sidecar, or of none that it has not.
async fn says(scene: &Scene<'_>, missing: Option<&str>) -> anyhow::Result<()> {
    until(&format!("the status says of {missing:?} that it has no sidecar"), SETTLED, || async {
        let told = condition(scene.client, &scene.namespace, "ServicesReady").await?.context("no ServicesReady")?;
        let named = missing.map(|pod| format!("{pod} has no sidecar"));
        let is_told = told.reason == "SidecarMissing";
        let is_so = named.map_or(!is_told, |named| is_told && told.message.contains(&named));
        anyhow::ensure!(is_so, "{}: {}", told.reason, told.message);
        Ok(Some(()))
    })
    .await
    .with_context(|| scene.operator.last_words(12))
}

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

/// A service one of whose pods has no sidecar. The new pod has the name of the old one, so that a deletion by name alone would
/// hit it.
async fn repaired(ground: &Ground, fault: Fault) -> anyhow::Result<()> {
    let scene = Scene::settled(ground).await?;
    let deletion = Target { verb: "delete", resource: "pods".to_owned(), ..Target::default() };
    scene.proxy.set(vec![Rule::once(deletion, fault)]);

    let pods = Pods::of(&scene).await?;
    let well = pods.make("well", true).await?;
    pods.make("bare", false).await?;
    pods.is_gone("bare", &scene).await?;
    let anew = pods.make("bare", true).await?;

    watch_for(LOOKED, &scene.proxy).await;
    let ledger = scene.proxy.ledger();
    anyhow::ensure!(!scene.proxy.happened().is_empty(), "it never came");
    anyhow::ensure!(pods.left().await? == [anew, well], "other pods were deleted:\n{ledger}");
    let other = ledger.all().find(|entry| entry.target.verb == "delete" && entry.target.name != "bare");
    anyhow::ensure!(other.is_none(), "{other:?}");
    let told = condition(scene.client, &scene.namespace, "ServicesReady").await?;
    anyhow::ensure!(told.as_ref().is_some_and(|told| told.reason != "SidecarMissing"), "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sidecar_is_told_and_made_up_for_whatever_becomes_of_the_watch_of_pods() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let lives = OF_WATCHES.map(|fault| {
        let ground = &ground;
        async move { seen(ground, fault).await.with_context(|| format!("the watch of pods: {fault}")) }
    });
    try_join_all(lives).await.map(drop)
}

/// No deletion works until the status has told of the pod.
async fn seen(ground: &Ground, fault: Fault) -> anyhow::Result<()> {
    let scene = Scene::with(ground, Options { relist: Some(RELIST), ..Options::default() }, Vec::new()).await?;
    scene.settle().await?;
    let watch = Target { verb: "watch", resource: "pods".to_owned(), ..Target::default() };
    let of_watch = if fault == Fault::Freeze { Rule::always(watch, fault) } else { Rule::once(watch, fault) };
    let deletion = Target { verb: "delete", resource: "pods".to_owned(), ..Target::default() };
    scene.proxy.set(vec![of_watch, Rule::always(deletion, REFUSED)]);

    let pods = Pods::of(&scene).await?;
    pods.make("bare", false).await?;
    says(&scene, Some("bare")).await?;
    anyhow::ensure!(scene.proxy.happened().iter().any(|(_, happened)| *happened == fault), "it never came");
    scene.proxy.lift(REFUSED);
    pods.is_gone("bare", &scene).await?;
    says(&scene, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_is_deleted_for_a_missing_sidecar_while_nothing_may_be_written() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let reads = Target { verb: "get", resource: "secrets".to_owned(), ..Target::default() };
    scene.proxy.set(vec![Rule::always(reads, Fault::Refuse(403))]);
    // What was read before is good for some seconds more.
    until("the status says that Secrets cannot be read", SETTLED, || async {
        let told = condition(scene.client, &scene.namespace, "SecretsReady").await?;
        Ok(told.filter(|told| told.reason == "SecretsUnreadable"))
    })
    .await?;

    let (pods, begun) = (Pods::of(&scene).await?, Instant::now());
    let bare = pods.make("bare", false).await?;
    says(&scene, Some("bare")).await?;
    watch_for(LOOKED, &scene.proxy).await;
    let ledger = scene.proxy.ledger().since(begun);
    let deletion = ledger.all().find(|entry| entry.target.verb == "delete");
    anyhow::ensure!(deletion.is_none() && pods.left().await? == [bare], "{deletion:?}");

    scene.proxy.set(Vec::new());
    pods.is_gone("bare", &scene).await
}
