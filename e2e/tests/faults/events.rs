//! Events: nothing waits for those that cannot be published, and nothing is told twice.

use std::time::Instant;

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret, events::v1::Event};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use todo_e2e::{
    faults::{Action, Course, Ground, Operator, SETTLED},
    harness::until,
    proxy::{Entry, Fault, Ledger, Rule, Target},
};

use crate::support::{beside_others, undisturbed};

const APP: &str = "frontend-service";

/// This happens to every event.
fn always(fault: Fault) -> Vec<Rule> {
    vec![Rule::always(Target { resource: "events".to_owned(), ..Target::default() }, fault)]
}

fn is_event(entry: &Entry) -> bool {
    entry.target.resource == "events"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_whose_events_cannot_be_published_lives_as_any_other() -> anyhow::Result<()> {
    let (_processors, course, ground) = (beside_others().await, undisturbed().await?, Ground::start().await?);
    let lives = [Fault::Refuse(403), Fault::Refuse(500), Fault::HangAfter].map(|fault| {
        let ground = &ground;
        async move { lives(ground, course, fault).await.with_context(|| format!("each event: {fault}")) }
    });
    try_join_all(lives).await.map(drop)
}

/// A whole life in which this happens to every event.
async fn lives(ground: &Ground, course: &Course, fault: Fault) -> anyhow::Result<()> {
    let (walk, mut proxy) = (ground.another_walk().await?, ground.proxy().await?);
    proxy.set(always(fault));
    let operator = Operator::start(&mut proxy, ground.folder.path(), Some(&walk.namespace), "operator")?;
    let mut followed = walk.followed(course);
    for action in Action::ALL {
        walk.perform(action).await?;
        followed.reaches(action, &[&proxy]).await.with_context(|| format!("{action:?}"))?;
    }
    anyhow::ensure!(proxy.ledger().all().any(is_event), "nothing was worth an event");
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_does_not_wait_until_what_it_has_to_tell_is_published() -> anyhow::Result<()> {
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    Ground::make_platform(client, namespace).await?;
    ground.created(&proxy, namespace).await?;

    // Each field that somebody else takes is worth an event, before the status names both.
    proxy.set(always(Fault::HangAfter));
    let begun = Instant::now();
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": APP},
        "spec": {"replicas": 7, "revisionHistoryLimit": 7},
    });
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    deployments.patch(APP, &PatchParams::apply("x").force(), &Patch::Apply(theirs)).await?;
    let ledger = until("both events were to be published", SETTLED, || async {
        let ledger = proxy.ledger().since(begun);
        Ok((ledger.all().filter(|entry| is_event(entry)).count() >= 2).then_some(ledger))
    })
    .await?;
    anyhow::ensure!(is_told_before_the_second(&ledger), "the status waited for events\n{ledger}");
    Ok(())
}

/// Whether the status was written before the second event came.
fn is_told_before_the_second(ledger: &Ledger) -> bool {
    let is_status = |entry: &&Entry| entry.target.to_string() == "patch todoplatforms/todo/status";
    let mut events = ledger.all().filter(|entry| is_event(entry));
    let status = ledger.all().find(is_status);
    matches!((status, events.nth(1)), (Some(status), Some(second)) if status.at < second.at)
}

#[tokio::test(flavor = "multi_thread")]
async fn that_data_of_an_earlier_platform_is_used_again_is_told_once() -> anyhow::Result<()> {
    const LEFT: &str = "kafka-password";
    let (_processors, ground) = (beside_others().await, Ground::start().await?);
    let (client, walk, mut proxy) = (&ground.client, ground.walk(0).await?, ground.proxy().await?);
    let namespace = walk.namespace.as_str();
    let secret = json!({
        "metadata": {"name": LEFT, "labels": {
            "todoplatform.dev/platform": "todo", "app.kubernetes.io/managed-by": "todo-operator",
        }},
        "stringData": {"password": "of before"},
    });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let left = secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    // Times of objects are in seconds, and only what is older than a platform was left by another one.
    let probe = json!({"metadata": {"name": "later"}});
    until("a second has passed", SETTLED, || async {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let now = secrets.create(&params, &serde_json::from_value(probe.clone())?).await?;
        Ok((now.metadata.creation_timestamp > left.metadata.creation_timestamp).then_some(()))
    })
    .await?;

    let _operator = Operator::start(&mut proxy, ground.folder.path(), Some(namespace), "operator")?;
    // Its own Secrets are made in one pass, and what is built from them in the next, before the first status.
    Ground::make_platform_of(client, namespace, &json!({})).await?;
    ground.created_but_services(&proxy, namespace).await?;
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let told = events.list(&ListParams::default()).await?.items;
    let told: Vec<_> = told.iter().filter(|event| event.reason.as_deref() == Some("DataTakenOver")).collect();
    let times: Vec<_> = told.iter().map(|event| event.series.as_ref().map_or(1, |series| series.count)).collect();
    anyhow::ensure!(times == [1], "told {times:?} times: {told:?}");
    anyhow::ensure!(told[0].note.as_ref().is_some_and(|note| note.contains(LEFT)), "{:?}", told[0].note);
    Ok(())
}
