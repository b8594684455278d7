//! What a platform costs the API server.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};
use todo_e2e::{
    faults::{AtRest, EMBEDDED, EXTERNAL, Ground, Life, Named, Options, Player, SETTLED},
    harness::until,
    proxy::{Fault, Ledger, Rule, Target},
};

use crate::{
    scene::Scene,
    support::{beside_others, condition, watch_for},
};

/// How long it is watched at rest. `cargo xtask bench quiet` does so for longer.
const REST: Duration = Duration::from_mins(1);
/// Longer than a pass waits before it looks again, and shorter than events are waited for.
const LATE: Duration = Duration::from_millis(500);
/// All that there is to say of Kafka and PostgreSQL while nobody takes up their StatefulSets.
const NOT_TAKEN_UP: &str =
    "kafka: the change has not been taken up yet; postgres: the change has not been taken up yet";

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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_watch_brings_late_is_written_once() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let late = |resource: &str| {
        let events = Target { verb: "watch", resource: resource.to_owned(), ..Target::default() };
        Rule::once(events, Fault::DelayEvent(LATE))
    };
    let scene = Scene::with(&ground, Options::default(), ["services", "configmaps"].map(late).to_vec()).await?;
    scene.settle().await?;
    written(&scene.proxy.ledger()).map(drop)
}

/// Of the broker that the empty spec asks for, there is no pod: once it seems to run, it is looked at again and again.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_spec_costs_one_status_for_each_thing_that_is_new_and_looks_at_a_silent_broker_nothing()
-> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::bare(Life::Plain).await?);
    let scene = Scene::on(&ground).await?;
    Ground::make_platform_of(scene.client, &scene.namespace, &json!({})).await?;
    ground.created_but_services(&scene.proxy, &scene.namespace).await?;
    let ledger = scene.proxy.ledger();
    let (objects, statuses) = written(&ledger)?;
    println!("{objects} objects by as many writes, {statuses} writes of the status");
    let told_first = told(&ledger)?;
    anyhow::ensure!(told_first == [NOT_TAKEN_UP], "{told_first:#?}");

    let (_player, begun) = (Player::start(ground.client.clone(), Life::Plain), Instant::now());
    until("it is told that the broker does not answer", SETTLED, || async {
        let told = condition(scene.client, &scene.namespace, "InfrastructureReady").await?;
        Ok(told.filter(|told| told.reason == "KafkaUnreachable"))
    })
    .await?;
    ground.created_but_services(&scene.proxy, &scene.namespace).await?;
    // Kafka seems to run a moment before PostgreSQL, and what is known between the two may be told.
    let mut new = ["postgres: the change", "Kafka has not been asked", "Kafka cannot be asked"].iter();
    let told = told(&scene.proxy.ledger().since(begun))?;
    let in_turn = told.iter().all(|told| new.any(|new| told.starts_with(new)));
    anyhow::ensure!(in_turn, "something was told twice, or out of its turn: {told:#?}");
    rests(&scene, &EMBEDDED).await
}

/// What each write of the status said of Kafka and PostgreSQL.
fn told(ledger: &Ledger) -> anyhow::Result<Vec<String>> {
    let writes = ledger.work().filter(|entry| entry.target.resource == "todoplatforms");
    writes
        .map(|entry| {
            let body: Value = serde_json::from_slice(&entry.body)?;
            let mut conditions = body["status"]["conditions"].as_array().into_iter().flatten();
            let one = conditions.find(|one| one["type"] == "InfrastructureReady");
            Ok(one.and_then(|one| one["message"].as_str()).context("it says nothing of it")?.to_owned())
        })
        .collect()
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
