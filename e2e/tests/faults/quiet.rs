//! What a platform costs the API server.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use todo_e2e::{
    faults::{AtRest, EMBEDDED, EXTERNAL, Ground, Named},
    proxy::{Ledger, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, watch_for},
};

/// How long it is watched at rest. `cargo xtask bench quiet` does so for longer.
const REST: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn each_object_is_written_once_and_none_is_read_and_at_rest_only_named_secrets_are() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::settled(&ground).await?;
    let ledger = scene.proxy.ledger();
    let (objects, statuses) = written(&ledger)?;
    anyhow::ensure!(statuses <= 2, "{statuses} writes of the status\n{ledger}");
    println!("{objects} objects by as many writes, {statuses} writes of the status");
    rests(&scene, &EXTERNAL).await
}

/// Of the broker that the empty spec asks for, there is no pod: it is looked at again and again.
#[tokio::test(flavor = "multi_thread")]
async fn looks_at_a_broker_that_is_silent_cost_the_api_server_nothing() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let scene = Scene::on(&ground).await?;
    Ground::make_platform_of(scene.client, &scene.namespace, &json!({})).await?;
    ground.created_but_services(&scene.proxy, &scene.namespace).await?;
    let (objects, statuses) = written(&scene.proxy.ledger())?;
    println!("{objects} objects by as many writes, {statuses} writes of the status");
    rests(&scene, &EMBEDDED).await
}

/// How many objects were written, and how often the status was. No object may have been written twice or read.
fn written(ledger: &Ledger) -> anyhow::Result<(usize, usize)> {
    let mut writes: BTreeMap<&Target, usize> = BTreeMap::new();
    for entry in ledger.work() {
        *writes.entry(&entry.target).or_default() += 1;
    }
    let (statuses, objects): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|(target, _)| target.resource == "todoplatforms");
    let repeated: Vec<_> = objects.iter().filter(|(_, times)| *times > 1).collect();
    anyhow::ensure!(repeated.is_empty(), "written more than once: {repeated:?}\n{ledger}");
    let read = children_read(ledger);
    anyhow::ensure!(read.is_empty(), "read: {read:?}");
    Ok((objects.len(), statuses.iter().map(|(_, times)| times).sum()))
}

/// Objects of the platform that were read one by one, Secrets apart.
fn children_read(ledger: &Ledger) -> Vec<String> {
    let besides = ["", "secrets", "leases"];
    let read = ledger.all().map(|entry| &entry.target).filter(|target| {
        target.verb == "get" && !besides.contains(&target.resource.as_str()) && target.name != "dapr-sidecar-injector"
    });
    read.map(ToString::to_string).collect()
}

/// Watches for a while whether nothing is asked but what may be, and no more often.
async fn rests(scene: &Scene<'_>, secrets: &[&str]) -> anyhow::Result<()> {
    let ledger = watch_for(REST, &scene.proxy).await;
    let rest = AtRest::of(&ledger, REST, &[Named { namespace: &scene.namespace, secrets }]);
    println!("{rest}");
    let too_much = rest.too_much();
    anyhow::ensure!(too_much.is_empty(), "too much for a platform at rest: {too_much:?}\n{ledger}");
    let reads = ledger.all().filter(|entry| entry.target.resource == "secrets").count();
    anyhow::ensure!(reads > 0, "the operator does nothing at all\n{ledger}");
    Ok(())
}
