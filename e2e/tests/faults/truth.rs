//! What a status may say while the operator knows less than it did, and what does not wait for a status.

use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use todo_crds::platform::TodoPlatform;
use todo_e2e::{
    faults::{Ground, SETTLED},
    harness::until,
    proxy::{Fault, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, condition},
};

const APP: &str = "frontend-service";
/// One of the Secrets that each pass reads.
const NAMED: &str = "postgres-connection";
/// Passes in a row that are refused it: more than it takes until a pass waits longer than until the next one.
const PASSES: usize = 7;
/// After so long without a try to write the status, the next one is more than eight seconds away.
const RARE: Duration = Duration::from_secs(17);
/// Less than that.
const SOON: Duration = Duration::from_secs(5);

/// Has a Deployment look as if all its pods ran.
async fn roll_out(deployments: &Api<Deployment>) -> anyhow::Result<()> {
    let generation = deployments.get(APP).await?.metadata.generation;
    let status = json!({"status": {
        "observedGeneration": generation, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
    }});
    deployments.patch_status(APP, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

/// Which spec a status is of, and what it says of the Deployment.
async fn told(scene: &Scene<'_>) -> anyhow::Result<(Option<i64>, Option<String>)> {
    let status = scene.all::<TodoPlatform>().get("todo").await?.status.context("no status")?;
    let app = status.services.into_iter().find(|service| service.name == APP).context("nothing is said of it")?;
    Ok((status.observed_generation, app.message))
}

fn memory(memory: &str) -> Value {
    json!({"services": {"frontend": {"resources": {"requests": {"memory": memory}}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_watch_has_brought_is_not_told_as_done() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    roll_out(&scene.all()).await?;
    until("it is told to be rolled out", SETTLED, async || Ok(told(&scene).await?.1.is_none().then_some(()))).await?;

    let deployments = Target { verb: "watch", resource: "deployments".to_owned(), ..Target::default() };
    scene.proxy.set(vec![Rule::always(deployments, Fault::Freeze)]);
    scene.change_spec(&memory("40Mi")).await?;
    let message = until("the changed spec is told of", SETTLED, async || {
        let (generation, message) = told(&scene).await?;
        Ok((generation == Some(2)).then_some(message))
    })
    .await?;
    anyhow::ensure!(message.is_some(), "told to be rolled out, which nobody knows");
    scene.proxy.set(Vec::new());
    roll_out(&scene.all()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_is_told_as_observed_once_it_was_applied_however_long_secrets_could_not_be_read() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let reads = Target { verb: "get", resource: "secrets".to_owned(), ..Target::default() };
    scene.proxy.set(vec![Rule::always(reads, Fault::Refuse(403))]);
    until("the status says that Secrets cannot be read", SETTLED, async || {
        let told = condition(scene.client, &scene.namespace, "SecretsReady").await?;
        Ok(told.filter(|told| told.reason == "SecretsUnreadable"))
    })
    .await?;
    let changed = Instant::now();
    scene.change_spec(&memory("40Mi")).await?;
    until("Secrets are asked for again and again", SETTLED, async || {
        let ledger = scene.proxy.ledger().since(changed);
        let reads = ledger.all().filter(|entry| entry.target.resource == "secrets" && entry.target.name == NAMED);
        Ok((reads.count() >= PASSES).then_some(()))
    })
    .await?;

    let readable = Instant::now();
    scene.proxy.set(Vec::new());
    until("the changed spec is told of", SETTLED, async || Ok((told(&scene).await?.0 == Some(2)).then_some(())))
        .await?;
    let ledger = scene.proxy.ledger().since(readable);
    let is_observed =
        |body: &[u8]| serde_json::from_slice::<Value>(body).is_ok_and(|body| body["status"]["observedGeneration"] == 2);
    let told = ledger.work().position(|entry| entry.target.subresource == "status" && is_observed(&entry.body));
    let applied = ledger.work().position(|entry| entry.target.resource == "deployments" && entry.target.name == APP);
    anyhow::ensure!(applied.is_some() && applied < told, "told before it was applied\n{ledger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_comes_back_at_once_while_no_status_can_be_written() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let status = Target {
        verb: "patch",
        resource: "todoplatforms".to_owned(),
        subresource: "status".to_owned(),
        ..Target::default()
    };
    scene.proxy.set(vec![Rule::always(status, Fault::Refuse(403))]);
    let changed = Instant::now();
    scene.change_spec(&memory("40Mi")).await?;
    until("the status was refused, and is rarely tried", SETTLED, async || {
        let ledger = scene.proxy.ledger().since(changed);
        let tries = ledger.work().filter(|entry| entry.target.subresource == "status");
        Ok(tries.map(|entry| entry.at).max().filter(|last| last.elapsed() > RARE))
    })
    .await?;

    let deployments = scene.all::<Deployment>();
    deployments.delete(APP, &DeleteParams::default()).await?;
    until("the Deployment is back", SOON, async || Ok(deployments.get_opt(APP).await?)).await.map(drop)
}
